// The life of a cluster through the client that openapi-ts makes of our OpenAPI document: its types are checked, too.
//
//   life.js BASE TOKEN BLUEPRINT-FILE
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import * as api from "./generated";
import { client } from "./generated/client.gen";

const [base, token, file] = process.argv.slice(2);
client.setConfig({ baseUrl: base, auth: () => token });

async function state(cluster: string): Promise<string> {
  const { data, error } = await api.getCluster({ path: { cluster } });
  assert.equal(error, undefined);
  return data!.cluster.state;
}

function status(response: Response | undefined): number {
  return response!.status;
}

async function create(): Promise<string> {
  const body = { blueprint: readFileSync(file, "utf8") };
  const headers = { "Idempotency-Key": "5f5b8c52-7c0e-4a0f-9d0e-6a1f4d9b5b11" };
  const first = await api.createVc({ body, headers });
  assert.equal(status(first.response), 201, JSON.stringify(first.error));
  const made = first.data as api.CreateVcResponses[201];  // 202 has none
  const cluster = made.cluster;
  assert.equal(first.response!.headers.get("Location"), `/clusters/${cluster}`);
  assert.equal(made.grant!.placement.length, 3);
  // A repeat gets the first answer, another content is refused.
  const again = await api.createVc({ body, headers });
  assert.equal(status(again.response), 201);
  assert.deepEqual(again.data, first.data);
  const other = await api.createVc({ body: { ...body, explain: true }, headers });
  assert.equal(status(other.response), 409);
  assert.equal(other.error!.code, "conflict");
  return cluster;
}

async function lists(cluster: string) {
  const shown = async (query: NonNullable<api.ListClustersData["query"]>) => {
    const { data, error } = await api.listClusters({ query });
    assert.equal(error, undefined);
    return data!.cluster.map((one) => one.id);
  };
  assert.deepEqual(await shown({ state: ["running"] }), [cluster]);
  assert.deepEqual(await shown({ state: ["frozen", "running"], name: ["duo"] }), [cluster]);
  assert.deepEqual(await shown({ state: ["frozen"] }), []);
  const first = await api.listVirtualHosts({ query: { cluster, limit: 2 } });
  assert.equal(first.data!.host.length, 2);
  const link = first.response!.headers.get("Link")!;
  const cursor = new URL(link.slice(1, link.indexOf(">")), base).searchParams.get("cursor")!;
  const second = await api.listVirtualHosts({ query: { cluster, limit: 2, cursor } });
  assert.equal(second.data!.host.length, 1);
  assert.equal(second.response!.headers.get("Link"), null);
  const ids = [...first.data!.host, ...second.data!.host].map((host) => host.id);
  assert.deepEqual(ids, [...new Set(ids)].sort());
}

async function conditions(cluster: string) {
  const seen = await api.getCluster({ path: { cluster } });
  const tag = seen.response!.headers.get("ETag")!;
  const same = await api.getCluster({ path: { cluster }, headers: { "If-None-Match": tag } });
  assert.equal(status(same.response), 304);
  const frozen = await api.freezeVc({ path: { cluster }, headers: { "If-Match": tag } });
  assert.equal(status(frozen.response), 204, JSON.stringify(frozen.error));
  assert.equal(await state(cluster), "frozen");
  const late = await api.destroyVc({ path: { cluster }, headers: { "If-Match": tag } });
  assert.equal(status(late.response), 412);
  assert.equal(late.error!.code, "conflict");
  assert.equal(await state(cluster), "frozen");
}

async function problems(cluster: string) {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const refused = await api.pauseVc({ path: { cluster }, headers: { traceparent } });
  assert.equal(status(refused.response), 409);
  assert.equal(refused.response!.headers.get("Content-Type"), "application/problem+json");
  assert.equal(refused.error!.code, "conflict");
  assert.match(refused.error!.detail, /frozen/);
  assert.equal(refused.error!.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  const nobody = await api.getCluster({ path: { cluster: "nobody/at all" } });
  assert.equal(status(nobody.response), 404);
  assert.equal(nobody.error!.instance, "/clusters/nobody%2Fat%20all");
  const wrong = await api.createVc({ body: { blueprint: "<cluster/>" } });
  assert.equal(status(wrong.response), 400);
  assert.equal(wrong.error!.code, "invalid");
  const stranger = await api.listClusters({ auth: () => "wrong" });
  assert.equal(status(stranger.response), 401);
  assert.equal(stranger.error!.code, "denied");
}

async function early(cluster: string) {
  const answer = await api.thawVc({ path: { cluster }, headers: { Prefer: "respond-async, wait=0" } });
  assert.equal(status(answer.response), 202, JSON.stringify(answer.error));
  assert.equal(answer.response!.headers.get("Location"), `/clusters/${cluster}`);
  // The events tell when it is done.
  const events = await fetch(`${base}/events?cluster=${cluster}`, {
    headers: { Accept: "text/event-stream", Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(60_000),
  });
  let text = "";
  for await (const piece of events.body!) {
    text += new TextDecoder().decode(piece);
    const frozen = text.lastIndexOf("event: cluster.frozen\n");
    if (frozen >= 0 && text.indexOf("event: cluster.running\n", frozen) >= 0) break;
  }
  assert.equal(await state(cluster), "running");
}

async function life() {
  const cluster = await create();
  assert.equal(await state(cluster), "running");
  await lists(cluster);
  await conditions(cluster);
  await problems(cluster);
  await early(cluster);
  const gone = await api.destroyVc({ path: { cluster } });
  assert.equal(status(gone.response), 204, JSON.stringify(gone.error));
  assert.equal(await state(cluster), "destroyed");
  assert.deepEqual((await api.listClusters()).data!.cluster, []);
}

life().then(
  () => console.log("done"),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
