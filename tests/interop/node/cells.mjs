// SPDX-FileCopyrightText: The longrunning authors
// SPDX-License-Identifier: Apache-2.0

// The cells of @google-cloud/redis. `node cells.mjs CELL STAGE` plays one of them and prints what the client saw: STAGE is a
// document that nodejs.py makes, and what is printed has the fields of `Seen` in cells.py.

import {CloudRedisClient} from '@google-cloud/redis';
import {credentials} from '@grpc/grpc-js';
import {GoogleProtoFilesRoot, googleAuthLibrary} from 'google-gax';

const NOT_FOUND = 5;

const stage = JSON.parse(process.argv[3]);

const cells = {
  async create(client) {
    const operation = await start(client);
    const {verb, target} = operation.metadata;
    return {name: operation.name, done: operation.done, verb, target};
  },

  async progress(client) {
    const operation = await start(client, {memorySizeGb: stage.slowGb});
    const stages = [operation.metadata.statusDetail];
    operation.on('progress', metadata => stages.push(metadata.statusDetail));
    const [, metadata] = await operation.promise();
    return {stages: [...stages, metadata.statusDetail]};
  },

  async result(client) {
    const operation = await start(client);
    const [instance] = await operation.promise();
    return seenInstance(instance);
  },

  async failure(client) {
    const operation = await start(client, {instanceId: 'quota'});
    const error = await failed(operation.promise());
    if (!operation.latestResponse.error) {
      throw error; // the operation did not fail: to ask for it did
    }
    const types = new GoogleProtoFilesRoot().loadSync('google/rpc/error_details.proto');
    const details = operation.latestResponse.error.details.map(detail => {
      const name = detail.type_url.split('/').pop();
      return {name, message: types.lookupType(name).decode(detail.value)};
    });
    return {
      code: error.code,
      message: error.message,
      details: details.map(({name}) => name),
      reason: details.find(({name}) => name === 'google.rpc.ErrorInfo').message.reason,
    };
  },

  async cancel(client) {
    const operation = await start(client, {memorySizeGb: stage.slowGb});
    operation.once('progress', () => operation.cancel());
    const error = await failed(operation.promise());
    const {done, metadata} = operation.latestResponse;
    const {cancelRequested} = client.descriptors.longrunning.createInstance.metadataDecoder(metadata.value);
    return {done, code: error.code, message: error.message, cancel_requested: cancelRequested};
  },

  async list(client) {
    const pages = [];
    let request = {name: stage.listedIn, filter: stage.filter, pageSize: stage.pageSize};
    while (request) {
      let operations;
      [operations, request] = await client.operationsClient.listOperations(request, {autoPaginate: false});
      pages.push(operations.map(({name}) => name));
    }
    return {pages};
  },

  async delete(client) {
    const {name} = await start(client);
    await client.deleteOperation({name});
    return missing(client, name);
  },

  async resume(client) {
    const {name} = await start(client);
    return connected(async another => {
      const operation = await another.checkCreateInstanceProgress(name);
      const [instance] = await operation.promise();
      return seenInstance(instance);
    });
  },

  async not_found(client) {
    return missing(client, stage.absent);
  },
};

async function connected(use) {
  const [servicePath, port] = stage.address.split(':');
  const transport = stage.fallback
    ? {fallback: true, protocol: 'http', authClient: new googleAuthLibrary.PassThroughClient()}
    : {sslCreds: credentials.createInsecure()};
  const client = new CloudRedisClient({servicePath, port: Number(port), ...transport});
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

async function start(client, {instanceId = 'cache', memorySizeGb = 1} = {}) {
  const [operation] = await client.createInstance({
    parent: stage.location,
    instanceId,
    instance: {tier: 'BASIC', memorySizeGb},
  });
  return operation;
}

async function failed(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

async function missing(client, name) {
  const error = await failed(client.checkCreateInstanceProgress(name));
  if (error.code !== NOT_FOUND) {
    throw error;
  }
  return {code: error.code, message: error.message};
}

function seenInstance(instance) {
  return {instance: instance.name, host: instance.host, memory_size_gb: instance.memorySizeGb};
}

console.log(JSON.stringify(await connected(cells[process.argv[2]])));
