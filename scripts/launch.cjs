// Every npm script starts here. Old syntax on purpose: it must parse on any Node, to be able to refuse one.
var major = Number(process.versions.node.split(".")[0]);
if (major < 20) {
  console.error(
    "This project needs Node 20 or newer; this is Node " + process.versions.node + ". Get one at https://nodejs.org.",
  );
  process.exit(1);
}
require("./load-tasks.cjs");
