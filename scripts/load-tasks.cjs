// A file of its own, because a Node too old for import() could not even read launch.cjs with it inside.
import("./tasks.mjs").then((tasks) => tasks.main(process.argv.slice(2)));
