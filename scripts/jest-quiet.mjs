/**
 * Leaves TensorFlow.js's advertisement for its native package out of the tests' output: it would come once a file, with
 * a stack.
 */
const { warn } = console;
console.warn = (...given) => {
  if (!String(given[0]).includes("visit https://github.com/tensorflow/tfjs-node")) warn(...given);
};
