// A workflow of five durable steps and the closed loop that runs it. Reads lines "CLIENTS SECONDS", answers each with a
// line of JSON; the database's URL is the argument.
import readline from "node:readline";
import { DBOS } from "@dbos-inc/dbos-sdk";

const quiet = { info() {}, debug() {}, warn() {}, error: (...all) => console.error(...all) };
DBOS.setConfig({ name: "bench", systemDatabaseUrl: process.argv[2], systemDatabasePoolSize: 32, logger: quiet });
const workflow = DBOS.registerWorkflow(
  async (text) => {
    let answer = "";
    for (let step = 0; step < 5; ++step) answer = await DBOS.runStep(async () => text, { name: `step ${step}` });
    return answer;
  },
  { name: "bench" },
);
await DBOS.launch();

async function measure(clients, seconds) {
  const latencies = [];
  const begin = performance.now();
  const client = async () => {
    while (performance.now() - begin < seconds * 1000) {
      const start = performance.now();
      if ((await workflow("hello")) !== "hello") throw new Error("not the answer that was expected");
      latencies.push((performance.now() - start) / 1000);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const wall = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  return { answers: latencies.length, seconds: wall, per_second: latencies.length / wall,
           median_latency: latencies[latencies.length >> 1] };
}

console.log("ready");
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [clients, seconds] = line.split(" ").map(Number);
  console.log(JSON.stringify(await measure(clients, seconds)));
}
process.exit(0);
