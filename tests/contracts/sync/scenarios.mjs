// What existing applications expect of a server of broadcast channels, told by their own client.
import assert from 'node:assert/strict';
import { BroadcastClient } from './plain.mjs';

const [url, token, only] = process.argv.slice(2);
const stream = `${url.replace('http', 'ws')}/ws/broadcast`;
const PATIENCE = 20_000;

async function until(true_) {
  for (const end = Date.now() + PATIENCE; !(await true_()); ) {
    if (Date.now() > end) throw new Error(`never: ${true_}`);
    await new Promise((go) => setTimeout(go, 5));
  }
}

async function post(body, path = '/test/broadcast') {
  const reply = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(reply.status, 200);
  return reply.json();
}

async function count(channel) {
  const headers = { authorization: `Bearer ${token}` };
  return (await (await fetch(`${url}/channels/${channel}`, { headers })).json()).subscriber_count;
}

function connected(options) {
  const client = new BroadcastClient(stream, options);
  client.states = [];
  client.onStateChange((state) => client.states.push(state));
  client.connect();
  return client;
}

function hearing(client, channel) {
  const heard = [];
  heard.off = client.subscribe(channel, (event, payload) => heard.push([event, payload]));
  return heard;
}

// A second message after it has come when all before it have: so "exactly one" needs no pause.
async function settled(client, channel) {
  const last = hearing(client, `${channel}-last`);
  await until(() => count(`${channel}-last`));
  await post({ channel: `${channel}-last`, event: 'last', payload: {} });
  await until(() => last.length);
  last.off();
}

const scenarios = {
  async 'connects'() {
    const client = connected();
    await until(() => client.state === 'connected');
    assert.deepEqual(client.states, ['connecting', 'connected']);
  },

  async 'one client hears one event'() {
    const client = connected();
    const heard = hearing(client, 'orders'); // before it is open
    await until(() => count('orders'));
    const answer = await post({ channel: 'orders', event_type: 'order.created', payload: { order_id: 'o-1', total: 99.99 } });
    await settled(client, 'orders');
    assert.deepEqual([...heard], [['order.created', { order_id: 'o-1', total: 99.99 }]]);
    assert.equal(answer.success, true);
    assert.equal(answer.status, 'broadcasted');
    assert.equal(answer.subscriber_count, 1);
  },

  async 'two clients hear one channel'() {
    const clients = [connected(), connected()];
    const heard = clients.map((client) => hearing(client, 'order'));
    await until(async () => (await count('order')) === 2);
    const answer = await post({ channel: 'order', event: 'item_added', payload: { entity_id: '123' } });
    for (const client of clients) await settled(client, 'order');
    assert.equal(answer.subscriber_count, 2);
    assert.deepEqual(heard.map((each) => [...each]), Array(2).fill([['item_added', { entity_id: '123' }]]));
  },

  async 'the last handler that goes unsubscribes'() {
    const client = connected();
    const [first, second] = [hearing(client, 'contact'), hearing(client, 'contact')];
    await until(async () => (await count('contact')) === 1);
    first.off();
    await post({ channel: 'contact', event: 'one', payload: {} });
    await settled(client, 'contact');
    second.off();
    await until(async () => (await count('contact')) === 0);
    await post({ channel: 'contact', event: 'two', payload: {} });
    await settled(client, 'contact');
    assert.deepEqual([[...first], [...second]], [[], [['one', {}]]]);
  },

  async 'a dropped client returns and is subscribed again'() {
    const client = connected({ reconnectDelay: 20 });
    const heard = [hearing(client, 'a'), hearing(client, 'b')];
    await until(async () => (await count('a')) && (await count('b')));
    const headers = { authorization: `Bearer ${token}` };
    const { clients } = await (await fetch(`${url}/api/v1/clients`, { headers })).json();
    for (const { id } of clients) await fetch(`${url}/api/v1/clients/${id}`, { method: 'DELETE', headers });
    await until(() => client.states.length === 5);
    await until(async () => (await count('a')) && (await count('b')));
    for (const channel of ['a', 'b']) await post({ channel, event: 'after', payload: {} });
    await settled(client, 'a');
    assert.deepEqual(client.states, ['connecting', 'connected', 'reconnecting', 'connecting', 'connected']);
    assert.deepEqual(heard.map((each) => [...each]), Array(2).fill([['after', {}]]));
    assert.equal(await count('a'), 1);
  },

  async 'a manual disconnect comes back by itself'() {
    const client = connected({ reconnectDelay: 20 });
    await until(() => client.state === 'connected');
    client.disconnect();
    await until(() => client.state === 'connected');
    assert.ok(client.states.includes('disconnected'));
  },

  async 'a handler that throws harms nobody else'() {
    const [careless, careful] = [connected(), connected()];
    careless.subscribe('c', () => { throw new Error('careless'); });
    const behind = hearing(careless, 'c');
    const heard = hearing(careful, 'c');
    await until(async () => (await count('c')) === 2);
    await post({ channel: 'c', event: 'said', payload: {} });
    for (const client of [careless, careful]) await settled(client, 'c');
    assert.deepEqual([[...behind], [...heard]], [[], [['said', {}]]]);
  },

  async 'what a tab tells others never reaches the server'() {
    const [one, two] = [connected(), connected()];
    const [own, others] = [hearing(one, 't'), hearing(two, 't')];
    await until(async () => (await count('t')) === 2);
    one.emit('t', { type: 'drafted', entity_id: '7' });
    await until(() => others.length);
    for (const client of [one, two]) await settled(client, 't');
    assert.deepEqual([[...own], [...others]], [[], [['drafted', { type: 'drafted', entity_id: '7' }]]]);
  },

  async 'frames of control reach no handler'() {
    const client = connected();
    const heard = hearing(client, undefined); // whatever has no channel would land here
    hearing(client, 'ctl');
    await until(() => count('ctl'));
    await settled(client, 'ctl');
    assert.ok(heard.every(([event]) => event === undefined), 'only frames of another kind');
    assert.ok(heard.length >= 1, 'the welcome is one of them');
  },

  async 'a listener that was removed hears no states'() {
    const client = new BroadcastClient(stream);
    const states = [];
    client.onStateChange((state) => states.push(state))();
    client.connect();
    await until(() => client.state === 'connected');
    assert.deepEqual(states, []);
  },

  async 'a server that is not there'() {
    const client = new BroadcastClient('ws://127.0.0.1:1/ws/broadcast', { maxReconnectAttempts: 1, reconnectDelay: 5 });
    client.connect();
    await until(() => client.state === 'disconnected');
  },

  async 'the server is healthy'() {
    const reply = await fetch(`${url}/health`);
    assert.ok(reply.ok);
    assert.equal((await reply.json()).status, 'ok');
  },
};

if (only) {
  await scenarios[only]();
  console.log('agreed');
} else {
  console.log(JSON.stringify(Object.keys(scenarios)));
}
process.exit(0);
