// Runs the network beside the page, so that the page never waits for it: on the graphics card where there is WebGPU.
const sessions = {};
let runtime = null;

async function start() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const graphics = adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter); // which the processor plays
  const ort = await import(graphics ? "./ort/ort.webgpu.min.mjs" : "./ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
  ort.env.logLevel = "error";
  return { ort, provider: graphics ? "webgpu" : "wasm" };
}

async function open(file) {
  const { ort, provider } = await (runtime ??= start());
  return (sessions[file] ??= ort.InferenceSession.create(file, { executionProviders: [provider] }));
}

// Each message is a picture, {file, x, shape}; each answer is its translation.
onmessage = async ({ data: { file, x, shape } }) => {
  try {
    const session = await open(file);
    const { ort, provider } = await runtime;
    const began = performance.now();
    const { y } = await session.run({ x: new ort.Tensor("float32", x, shape) });
    const values = await y.getData();
    const milliseconds = performance.now() - began;
    postMessage({ y: values, shape: y.dims, milliseconds, provider });
    y.dispose();
  } catch (error) {
    delete sessions[file];
    postMessage({ error: error.message });
  }
};
