"use strict";
const find = (id) => document.getElementById(id);
const before = find("before"), after = find("after"), status = find("status");
const SMALLEST = 32; // pixels of a side that the network sees, at least
const PROVIDERS = { webgpu: "on the graphics card (WebGPU)", wasm: "on the processor (WebAssembly)" };

let model = null; // model.json
let direction = null; // one of model.directions
let picture = null; // {source, name}: what is translated
let stream = null; // the webcam, while it is on
let worker = null;
let turn = 0; // of the last picture asked for: answers to earlier ones are dropped

// --- What the network takes, and what it returns

function inside(place, length) { // mirrored at the edges, which are not repeated
  const period = 2 * (length - 1) || 1;
  const folded = ((place % period) + period) % period;
  return folded < length ? folded : period - folded;
}

function margins(length) { // pixels to add before, and the length with all that is added
  const { multiple } = direction;
  const whole = Math.ceil(Math.max(SMALLEST, length) / multiple) * multiple;
  return [(whole - length) >> 1, whole];
}

function toTensor({ data, width, height }) { // RGBA bytes to (1, C, H, W) in [-1, 1]
  const channels = direction.in_channels;
  const [[top, rows], [left, columns]] = [margins(height), margins(width)];
  const x = new Float32Array(channels * rows * columns);
  let place = 0;
  for (let channel = 0; channel < channels; channel++)
    for (let row = 0; row < rows; row++) {
      const start = inside(row - top, height) * width;
      for (let column = 0; column < columns; column++) {
        const i = 4 * (start + inside(column - left, width));
        const value = channels === 1 ? Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) : data[i + channel];
        x[place++] = value / 127.5 - 1;
      }
    }
  return { x, shape: [1, channels, rows, columns] };
}

function toPixels(y, [, channels, rows, columns], width, height) { // and back, without the margins
  const [top, left] = [margins(height)[0], margins(width)[0]];
  const image = new ImageData(width, height);
  for (let row = 0, i = 0; row < height; row++)
    for (let column = 0; column < width; column++, i += 4)
      for (let channel = 0; channel < 4; channel++) {
        const from = channels === 1 ? 0 : channel;
        const value = y[(from * rows + row + top) * columns + column + left];
        image.data[i + channel] = channel === 3 && channels !== 4 ? 255 : Math.round((value + 1) * 127.5); // it clamps
      }
  return image;
}

// --- One picture

function fit(source) { // the width and height to translate at
  const [width, height] = [source.videoWidth || source.width, source.videoHeight || source.height];
  const side = Number(find("size").value);
  const scale = side ? Math.min(1, side / Math.min(width, height)) : 1;
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

function drawn(source, width, height) { // a canvas with the source in it, on white if the network sees no transparency
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (direction.in_channels < 4) {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
  }
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, width, height);
  return canvas;
}

function run(file, { x, shape }) { // the worker's answer
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.postMessage({ file, x, shape }, [x.buffer]);
  });
}

let last = Promise.resolve(); // one after the other
function translate() {
  const own = ++turn;
  last = last.then(() => own === turn && translateNow()).catch((error) => say(`This did not work: ${error.message}`));
  return last;
}

async function translateNow() {
  const { source, name } = picture;
  const [width, height] = fit(source);
  const seen = drawn(source, width, height);
  const tied = direction.size; // some networks take one size only
  const given = tied ? drawn(source, tied, tied) : seen;
  if (!stream) say("Translating");
  const pixels = given.getContext("2d").getImageData(0, 0, given.width, given.height);
  const { y, shape, milliseconds, provider } = await run(direction.file, toTensor(pixels));
  const result = document.createElement("canvas");
  [result.width, result.height] = [given.width, given.height];
  result.getContext("2d").putImageData(toPixels(y, shape, given.width, given.height), 0, 0);
  for (const [canvas, image] of [[before, seen], [after, result]]) {
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").drawImage(image, 0, 0, width, height);
  }
  find("drop").hidden = true;
  for (const id of ["result", "save"]) find(id).hidden = false;
  find("another").hidden = Boolean(stream);
  find("result").style.setProperty("--ratio", width / height);
  find("arrow").textContent = `after, ${words(direction.name)}`;
  say(`${name}: ${width} × ${height} pixels, ${Math.round(milliseconds)} ms ${PROVIDERS[provider]}`);
  status.dataset.milliseconds = milliseconds;
}

async function open(file) {
  stopCamera();
  try {
    picture = { source: await createImageBitmap(file), name: file.name || "picture" };
  } catch {
    return say(`${file.name}: this browser cannot read it as a picture`);
  }
  return translate();
}

// --- The webcam: as many frames as the network keeps up with

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    return say(`No webcam: ${error.message}`);
  }
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  await video.play();
  find("camera").textContent = "Stop";
  picture = { source: video, name: "webcam" };
  while (stream) {
    await translate();
    await new Promise(requestAnimationFrame);
  }
}

async function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  find("camera").textContent = "Webcam";
  find("another").hidden = false;
  picture = { source: await createImageBitmap(before), name: "webcam" }; // the last frame stays
}

// --- The page

const say = (text) => (status.textContent = text);
const words = (name) => name.replace("to", " → ");
const again = () => picture && !stream && translate();

function chooseFiles(list) {
  const file = [...list].find((one) => one.type.startsWith("image/"));
  if (file) open(file);
}

function choices() {
  for (const one of model.directions) {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "direction", value: one.name });
    input.checked = one === direction;
    input.addEventListener("change", () => ((direction = one), sizes(), again()));
    const label = document.createElement("label");
    label.append(input, Object.assign(document.createElement("span"), { textContent: words(one.name) }));
    find("directions").append(label);
  }
  find("directions").hidden = model.directions.length < 2;
}

function sizes() {
  const own = direction.trained_size;
  const offered = [[own, `${own} px, as trained`], [2 * own, `${2 * own} px`], [4 * own, `${4 * own} px`], [0, "as it is"]];
  const now = find("size").value || String(own);
  find("size").replaceChildren(...offered.map(([value, text]) => new Option(text, value, false, String(value) === now)));
}

function listen() {
  find("file").addEventListener("change", (event) => chooseFiles(event.target.files));
  find("another").addEventListener("click", () => find("file").click());
  find("size").addEventListener("change", again);
  find("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
  find("save").addEventListener("click", () => after.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob) });
    link.download = `${picture.name.replace(/\.\w+$/, "")}-${direction.name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }));
  const range = document.querySelector(".slider input");
  range.addEventListener("input", () => range.parentElement.style.setProperty("--split", range.value + "%"));
  addEventListener("paste", (event) => chooseFiles(event.clipboardData.files));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
    addEventListener(kind, (event) => {
      event.preventDefault();
      find("stage").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") chooseFiles(event.dataTransfer.files);
    });
}

async function start() {
  if (location.protocol === "file:") {
    find("name").textContent = "Serve this folder";
    return say("Browsers load a network from a server only. Run: python -m http.server, then open http://localhost:8000");
  }
  model = await (await fetch("model.json")).json();
  direction = model.directions[0];
  worker = new Worker("worker.js", { type: "module" });
  find("name").textContent = document.title = model.name;
  find("facts").textContent = model.facts;
  find("camera").hidden = !navigator.mediaDevices;
  choices();
  sizes();
  listen();
  document.body.dataset.ready = "";
}
start();
