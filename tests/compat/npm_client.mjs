// SPDX-License-Identifier: Apache-2.0
//
// A program of the npm client: typed calls, every patch type, a watch and an
// informer. Arguments: a kubeconfig and a namespace. Prints "ok" at the end.
import assert from "node:assert/strict";
import { once, EventEmitter } from "node:events";
import * as k8s from "@kubernetes/client-node";

const [kubeconfig, namespace] = process.argv.slice(2);
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

function configMap(name, data) {
    return { namespace, body: { metadata: { name, labels: { informed: "yes" } }, data } };
}

async function refused(code, promise) {
    const error = await promise.then(() => assert.fail("was taken"), (error) => error);
    assert.equal(error.code, code);
    return JSON.parse(error.body);
}

async function typedCalls() {
    const made = await core.createNamespacedConfigMap(configMap("typed", { k: "v" }));
    assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
    made.data = { k: "w" };
    const replaced = await core.replaceNamespacedConfigMap({ name: "typed", namespace, body: made });
    assert.notEqual(replaced.metadata.resourceVersion, made.metadata.resourceVersion);
    const conflict = await refused(409, core.replaceNamespacedConfigMap({ name: "typed", namespace, body: made }));
    assert.equal(conflict.reason, "Conflict");
    assert.equal((await refused(404, core.readNamespacedConfigMap({ name: "none", namespace }))).reason, "NotFound");
    const status = await core.deleteNamespacedConfigMap({ name: "typed", namespace });
    assert.equal(status.status, "Success");
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    assert.match(version.gitVersion, /^v1\.33/);
}

async function patches() {
    await apps.createNamespacedDeployment({ namespace, body: {
        metadata: { name: "web" },
        spec: { replicas: 0, selector: { matchLabels: { a: "b" } }, template: {
            metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "x" }] } } } } });
    const patch = (body, type, more = {}) => apps.patchNamespacedDeployment(
        { name: "web", namespace, body, ...more }, k8s.setHeaderOptions("Content-Type", type));
    let web = await patch([{ op: "replace", path: "/spec/replicas", value: 1 }], k8s.PatchStrategy.JsonPatch);
    assert.equal(web.spec.replicas, 1);
    web = await patch({ metadata: { labels: { merged: "yes" } } }, k8s.PatchStrategy.MergePatch);
    assert.equal(web.metadata.labels.merged, "yes");
    web = await patch({ spec: { template: { spec: { containers: [{ name: "d", image: "y" }] } } } },
        k8s.PatchStrategy.StrategicMergePatch);
    assert.deepEqual(web.spec.template.spec.containers.map((one) => one.name).sort(), ["c", "d"]);
    const applied = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" }, spec: { replicas: 2 } };
    web = await patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: "npm", force: true });
    assert.equal(web.spec.replicas, 2);
    const entry = web.metadata.managedFields.find((one) => one.manager === "npm");
    assert.equal(entry.operation, "Apply");
    const objects = k8s.KubernetesObjectApi.makeApiClient(config);
    const read = await objects.read({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace } });
    assert.equal(read.metadata.uid, web.metadata.uid);
    await objects.delete(read);
}

async function watching() {
    const listed = await core.listNamespacedConfigMap({ namespace });
    const events = new EventEmitter();
    const seen = [];
    const stop = await new k8s.Watch(config).watch(`/api/v1/namespaces/${namespace}/configmaps`,
        { resourceVersion: listed.metadata.resourceVersion, labelSelector: "informed=yes" },
        (type, object) => {
            seen.push([type, object.data?.k]);
            events.emit("event");
        }, () => events.emit("done"));
    const next = () => once(events, "event");
    let arrived = next();
    const made = await core.createNamespacedConfigMap(configMap("watched", { k: "1" }));
    await arrived;
    arrived = next();
    made.data = { k: "2" };
    await core.replaceNamespacedConfigMap({ name: "watched", namespace, body: made });
    await arrived;
    arrived = next();
    await core.deleteNamespacedConfigMap({ name: "watched", namespace });
    await arrived;
    assert.deepEqual(seen, [["ADDED", "1"], ["MODIFIED", "2"], ["DELETED", "2"]]);
    const ended = once(events, "done");
    stop.abort();
    await ended;
}

async function informer() {
    await core.createNamespacedConfigMap(configMap("before", { k: "0" }));
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const informed = k8s.makeInformer(config, path,
        () => core.listNamespacedConfigMap({ namespace, labelSelector: "informed=yes" }), "informed=yes");
    const events = new EventEmitter();
    for (const verb of ["add", "update", "delete"])
        informed.on(verb, (object) => events.emit(verb, object));
    informed.on("error", (error) => { throw error; });
    let arrived = once(events, "add");
    await informed.start();
    assert.equal((await arrived)[0].metadata.name, "before");
    arrived = once(events, "add");
    const made = await core.createNamespacedConfigMap(configMap("after", { k: "1" }));
    assert.equal((await arrived)[0].metadata.name, "after");
    arrived = once(events, "update");
    made.data = { k: "2" };
    await core.replaceNamespacedConfigMap({ name: "after", namespace, body: made });
    assert.deepEqual((await arrived)[0].data, { k: "2" });
    arrived = once(events, "delete");
    await core.deleteNamespacedConfigMap({ name: "after", namespace });
    assert.equal((await arrived)[0].metadata.name, "after");
    assert.deepEqual(informed.list(namespace).map((one) => one.metadata.name), ["before"]);
    await informed.stop();
}

await typedCalls();
await patches();
await watching();
await informer();
console.log("ok");
process.exit(0);
