// A client of another hand: Node's fetch, and an EventSource parser of a few lines.
import assert from 'node:assert/strict';

const [url, token] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };

async function rpc(...call) {
  const reply = await fetch(`${url}/rpc`, { method: 'POST', headers, body: JSON.stringify(call) });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.error.code);
  return answer;
}

async function* events(response) {
  let text = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const fields = text.slice(0, end).split('\n').filter((line) => !line.startsWith(':'));
      if (fields.length) yield Object.fromEntries(fields.map((line) => line.split(/: (.*)/s)));
    }
  }
}

const gone = new AbortController();
const response = await fetch(`${url}/subscribe?category=node&token=${token}`, { signal: gone.signal });
assert.equal(response.headers.get('content-type').split(';')[0], 'text/event-stream');

const receipts = await Promise.all(
  Array.from({ length: 20 }, (_, n) => rpc('stream.write', `node-${n % 4}`, { type: 'Said', data: { n, text: 'ü🧪' } })),
);
const pokes = [];
for await (const event of events(response)) {
  assert.equal(event.event, 'poke');
  if (pokes.push(JSON.parse(event.data)) === receipts.length) break;
}
gone.abort();

const places = pokes.map((poke) => poke.globalPosition);
assert.deepEqual(places, places.toSorted((a, b) => a - b));
assert.deepEqual(new Set(places), new Set(receipts.map((receipt) => receipt.globalPosition)));
const rows = await rpc('category.get', 'node', { batchSize: -1 });
assert.deepEqual(rows.map((row) => row[5].text), Array(20).fill('ü🧪'));
await assert.rejects(rpc('stream.write', 'node-0', { type: 'Said', data: {} }, { expectedVersion: 99 }), /VERSION/);
console.log('agreed');
