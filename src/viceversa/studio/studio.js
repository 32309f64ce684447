"use strict";
// Before and after, as in the report: the range lies invisibly over its two pictures, which may appear at any time.
addEventListener("input", ({ target }) => {
  if (target.matches(".slider input")) target.parentElement.style.setProperty("--split", target.value + "%");
});

// Ways to an upload that Quasar's uploader does not have: paste, a folder, the camera.
const add = (id, files) => getElement(id).$refs.qRef.addFiles(files);
addEventListener("paste", ({ clipboardData }) => {
  const drop = document.querySelector(".drop:hover") ?? document.querySelector(".drop");
  if (drop && clipboardData.files.length) add(Number(drop.id.slice(1)), [...clipboardData.files]);
});
function chooseFolder(id) {
  const input = Object.assign(document.createElement("input"), { type: "file", webkitdirectory: true });
  input.addEventListener("change", () => add(id, [...input.files]));
  input.click();
}
const videoOf = (id) => document.getElementById("c" + id);
async function openCamera(id) {
  videoOf(id).srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
}
function closeCamera(id) {
  videoOf(id)?.srcObject?.getTracks().forEach((track) => track.stop());
}
function takePicture(id, upload) {
  const video = videoOf(id);
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => add(upload, [new File([blob], "camera.png", { type: "image/png" })]));
}
