// Clients of other hands: Node's own WebSocket, the packages `ws` and `eventsource`.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const [url, token, wsFolder, sourceFolder] = process.argv.slice(2);
const WS = createRequire(`${wsFolder}/`)('ws');
const { EventSource } = createRequire(`${sourceFolder}/`)('eventsource');
const headers = { authorization: `Bearer ${token}` };
const live = url.replace('http', 'ws') + '/api/v1/ws';

async function write(type, data, stream) {
  const body = JSON.stringify(['stream.write', stream, { type, data }]);
  const reply = await fetch(`${url}/rpc`, { method: 'POST', headers, body });
  return (await reply.json()).globalPosition;
}

// Messages as they come, one after the other.
function inbox() {
  const waiting = [], kept = [];
  return {
    put: (item) => (waiting.length ? waiting.shift()(item) : kept.push(item)),
    next: () => (kept.length ? Promise.resolve(kept.shift()) : new Promise((take) => waiting.push(take))),
  };
}

{ // Node's own: no headers, so the token is a subprotocol
  const socket = new WebSocket(`${live}?types=node`, ['appliance.events', `bearer.${token}`]);
  const messages = inbox();
  socket.onmessage = (event) => messages.put(JSON.parse(event.data));
  assert.equal((await messages.next()).type, 'QueueStatus');
  assert.equal(socket.protocol, 'appliance.events');

  socket.send('refresh');
  assert.equal((await messages.next()).type, 'QueueStatus');
  socket.send(JSON.stringify({ type: 'subscribe', types: ['NodeSaid'] }));
  assert.deepEqual((await messages.next()).types, ['node.said']);
  const place = await write('NodeSaid', { text: 'ü🧪\u2028' }, 'node-1');
  const said = await messages.next();
  assert.deepEqual([said.type, said.text, said.seq], ['NodeSaid', 'ü🧪\u2028', place]);

  const closed = new Promise((ended) => (socket.onclose = ended));
  socket.close(1000, 'bye');
  assert.equal((await closed).code, 1000);
}

{ // ws: headers, pings, and a refusal it can show
  const refused = new WS(live);
  const [, reply] = await new Promise((told) => refused.on('unexpected-response', (...all) => told(all)));
  assert.equal(reply.statusCode, 401);
  reply.destroy();

  const socket = new WS(`${live}?types=node`, { headers });
  const messages = inbox();
  socket.on('message', (data, binary) => messages.put([binary, JSON.parse(data)]));
  assert.deepEqual((await messages.next()).map((part) => part.type ?? part), [false, 'QueueStatus']);
  const pong = new Promise((answered) => socket.on('pong', (data) => answered(data.toString())));
  socket.ping('there?');
  assert.equal(await pong, 'there?');
  const place = await write('NodeSaid', {}, 'node-1');
  assert.equal((await messages.next())[1].seq, place);
  socket.send(Buffer.from([1, 2, 3]));
  assert.equal(await new Promise((ended) => socket.on('close', ended)), 1003);
}

{ // eventsource: comes back by itself, and has missed nothing
  const withToken = (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...headers } });
  const source = new EventSource(`${url}/api/v1/events?events=NodeSaid`, { fetch: withToken });
  const confirmed = inbox(), said = inbox();
  source.addEventListener('connected', (event) => confirmed.put(event));
  source.addEventListener('NodeSaid', (event) => said.put(event));
  assert.equal((await confirmed.next()).lastEventId, '');
  const first = await write('NodeSaid', { n: 1 }, 'node-1');
  const event = await said.next();
  assert.deepEqual([event.lastEventId, JSON.parse(event.data).n], [`${first}`, 1]);

  const roster = await (await fetch(`${url}/api/v1/clients`, { headers })).json();
  const { id } = roster.clients.find((client) => client.dialect === 'events');
  await fetch(`${url}/api/v1/clients/${id}`, { method: 'DELETE', headers });
  const missed = [await write('NodeSaid', { n: 2 }, 'node-1'), await write('NodeSaid', { n: 3 }, 'node-1')];
  await confirmed.next();
  assert.deepEqual([(await said.next()).lastEventId, (await said.next()).lastEventId], missed.map(String));
  source.close();
}

console.log('agreed');
