// Jest runs each test file in its own V8 context with its own Float32Array; native code and worker
// threads hand back arrays of the main one, and TensorFlow.js asks `instanceof`. One set for both.
const { TestEnvironment } = require("jest-environment-node");

// Native code reads the environment of the process, of which a test has a copy.
process.env.TF_CPP_MIN_LOG_LEVEL ??= "1";

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    Object.assign(this.global, {
      ArrayBuffer,
      SharedArrayBuffer,
      Uint8Array,
      Uint8ClampedArray,
      Uint16Array,
      Uint32Array,
      Int8Array,
      Int16Array,
      Int32Array,
      Float32Array,
      Float64Array,
    });
  }
};
