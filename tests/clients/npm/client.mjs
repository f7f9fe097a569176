// The npm package `soap` as flow.py asks for it: everything that it knows of Nuraghe is in the WSDL files.
import assert from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import soap from "soap";

const [contracts, address, token, blueprint, consumer] = process.argv.slice(2);
process.on("warning", (warning) => {
  throw warning;
});
console.warn = (...text) => {
  throw new Error(`a warning: ${text.join(" ")}`);
};

// The methods of a port, at a path of nuraghed.
async function load(name, service, port, path) {
  const client = await soap.createClientAsync(join(contracts, name));
  client.setSecurity(new soap.BearerSecurity(token));
  client.setEndpoint(address + path);
  const methods = client[service][port];
  return Object.fromEntries(Object.entries(methods).map(([method, call]) => [method, promisify(call)]));
}

for (const name of readdirSync(contracts).filter((file) => file.endsWith(".wsdl"))) {
  await soap.createClientAsync(join(contracts, name));
}
const manager = await load("vcm.wsdl", "vcm", "VCM", "/services/vcm");
const created = await manager.create_vc({ request: { blueprint: { $xml: readFileSync(blueprint, "utf8") } } });
const key = created.cluster;
const path = `/services/vcf/clusters/${key}`;
console.log("created");

const cluster = await load("vcf-cluster.wsdl", "Cluster", "ClusterSoap", path);
async function state() {
  const property = { attributes: { "xmlns:vcf": "urn:nuraghe:vcf:1" }, $value: "vcf:State" };
  return (await cluster.GetMultipleResourceProperties({ ResourceProperty: property })).State;
}
console.log("state", await state());

const producer = await load("wsn.wsdl", "WSN", "NotificationProducer", path);
const subscribed = await producer.Subscribe({ ConsumerReference: { Address: consumer }, InitialTerminationTime: "PT1H" });
assert(JSON.stringify(subscribed.SubscriptionReference).includes(`${address}/services/notification/subscriptions/`));
console.log("subscribed");

await cluster.freeze_vc({ cluster: key });
console.log("frozen");
console.log("state", await state());
await cluster.thaw_vc({ cluster: key });
console.log("thawed");
await cluster.Destroy({});
console.log("destroyed");

await assert.rejects(manager.freeze_vc({ cluster: "nobody" }), (error) => {
  const detail = error.root.Envelope.Body.Fault.detail.fault;
  assert(!Number.isNaN(Date.parse(detail.Timestamp)), JSON.stringify(detail));
  assert(detail.Originator.Address.endsWith("/services/vcf"), JSON.stringify(detail));
  assert(detail.Description, JSON.stringify(detail));
  console.log("fault", detail.ErrorCode.$value ?? detail.ErrorCode);
  return true;
});
