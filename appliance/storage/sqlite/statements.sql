-- Every statement of the engine, by name.

-- name: pragmas
PRAGMA busy_timeout = 5000;
PRAGMA foreign_keys = OFF;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;  -- else an INSERT of many rows opens a file for its journal, at every commit

-- name: find_stream
SELECT key, max(floor, coalesce((SELECT max(position) FROM places WHERE stream = streams.key), -1))
FROM streams WHERE namespace = ? AND name = ?;

-- name: find_category
SELECT key FROM categories WHERE namespace = ? AND name = ?;

-- name: load_namespace
SELECT newest, widest, written, removed, verified, verified_sum FROM namespaces WHERE key = ?;

-- name: ledger
SELECT batch, appended, sum FROM ledger;

-- name: taken_id
SELECT 1 FROM events WHERE id = ? AND key >> 43 = ?;

-- name: find_receipt
SELECT fingerprint, first, count, time FROM receipts WHERE namespace = ? AND key = ?;

-- name: put_receipt
INSERT INTO receipts (namespace, key, fingerprint, first, count, time) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, key) DO UPDATE SET
  fingerprint = excluded.fingerprint, first = excluded.first, count = excluded.count, time = excluded.time;

-- name: drop_receipts
DELETE FROM receipts WHERE time <= ?;

-- name: insert_category
INSERT INTO categories (key, namespace, name) VALUES (?, ?, ?);

-- name: next_category
SELECT coalesce(max(key), 0) + 1 FROM categories;

-- name: next_stream
SELECT coalesce(max(key), 0) + 1 FROM streams;

-- name: grow_category
UPDATE categories SET streams = streams + ?, messages = messages + ? WHERE key = ?;

-- name: grow_namespace
UPDATE namespaces SET newest = ?, messages = messages + ?, streams = streams + ?,
  last = max(coalesce(last, ?), ?), widest = ?, written = ? WHERE key = ?;

-- name: verify_namespace
UPDATE namespaces SET verified = ?, verified_sum = ? WHERE key = ?;

-- name: advance_ledger
UPDATE ledger SET batch = ?, appended = ?, sum = ?;

-- name: put_streams
INSERT OR ROLLBACK INTO streams (key, namespace, name, category) VALUES {rows};

-- name: put_events
INSERT OR ROLLBACK INTO events
  (key, stream, position, category, cardinal, correlation, type, id, data, metadata, time, digest) VALUES {rows};

-- name: put_places
INSERT INTO places (stream, position, event)
SELECT stream, position, key FROM events WHERE key > ? AND key <= ? ORDER BY stream, position;

-- name: drop_places
DELETE FROM places WHERE stream IN (SELECT key FROM streams WHERE namespace = ?);

-- name: put_places_of
INSERT OR ROLLBACK INTO places (stream, position, event) VALUES {rows};

-- name: unplaced
SELECT e.key >> 43, s.name, e.position, e.key, coalesce((SELECT max(position) FROM places WHERE stream = e.stream), -1)
FROM namespaces n CROSS JOIN events e ON e.key > (n.key << 43 | n.verified) AND e.key < (n.key + 1) << 43
JOIN streams s ON s.key = e.stream ORDER BY e.key;

-- name: misplaced
SELECT (SELECT count(*) FROM namespaces n CROSS JOIN events e ON e.key > n.key << 43 AND e.key <= (n.key << 43 | n.verified)
        LEFT JOIN places p ON p.stream = e.stream AND p.position = e.position WHERE p.event IS NOT e.key)
  + (SELECT count(*) FROM places p LEFT JOIN events e ON e.key = p.event
     WHERE e.key IS NULL OR e.stream <> p.stream OR e.position <> p.position);

-- name: create_namespace
INSERT INTO namespaces (id, description, created) VALUES (?, ?, ?) RETURNING key;

-- name: put_token
INSERT INTO tokens (id, hash, namespace, scopes, memories, name, created, expires, revoked)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, namespace = excluded.namespace, scopes = excluded.scopes,
  memories = excluded.memories, name = excluded.name, created = excluded.created, expires = excluded.expires, revoked = excluded.revoked;

-- name: tokens
SELECT id, hash, namespace, scopes, name, memories, created, expires, revoked FROM tokens ORDER BY created, id;

-- name: find_state
SELECT version, pairs FROM state WHERE namespace = ? AND owner = ? AND key = ?;

-- name: put_state
INSERT INTO state (namespace, owner, key, value, version, pairs) VALUES {rows}
ON CONFLICT (namespace, owner, key) DO UPDATE SET
  value = excluded.value, version = excluded.version, pairs = excluded.pairs;

-- name: drop_state
DELETE FROM state WHERE (namespace, owner, key) IN (
  SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2 FROM json_each(?) r);

-- name: put_state_index
INSERT INTO state_index (namespace, owner, name, value, key)
SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4 FROM json_each(?) r;

-- name: drop_state_index
DELETE FROM state_index WHERE (namespace, owner, name, value, key) IN (
  SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4 FROM json_each(?) r);

-- name: state
SELECT namespace, owner, key, value, version FROM state WHERE namespace = ? AND owner = ? AND key = ?;

-- name: misfiled
SELECT (SELECT count(*) FROM state s JOIN json_each(s.pairs) p LEFT JOIN state_index i
        ON i.namespace = s.namespace AND i.owner = s.owner AND i.name = p.value ->> 0 AND i.value = p.value ->> 1
        AND i.key = s.key WHERE i.key IS NULL)
  + abs((SELECT coalesce(sum(json_array_length(pairs)), 0) FROM state) - (SELECT count(*) FROM state_index));

-- name: namespaces
SELECT key, id, description, created FROM namespaces ORDER BY created, key;

-- name: stats
SELECT messages, streams, last FROM namespaces WHERE key = ?;

-- name: categories
SELECT name, streams, messages FROM categories WHERE namespace = ? AND messages > 0 ORDER BY name;

-- name: head
SELECT s.name, max(s.floor, coalesce(e.position, -1)), iif(e.position > s.floor, e.time, s.floor_time)
FROM streams s LEFT JOIN places p ON p.stream = s.key
  AND p.position = (SELECT max(position) FROM places WHERE stream = s.key)
LEFT JOIN events e ON e.key = p.event
WHERE s.namespace = ? AND s.name = ?;

-- name: heads
SELECT s.name, max(s.floor, coalesce(e.position, -1)), iif(e.position > s.floor, e.time, s.floor_time)
FROM streams s LEFT JOIN places p ON p.stream = s.key
  AND p.position = (SELECT max(position) FROM places WHERE stream = s.key)
LEFT JOIN events e ON e.key = p.event
WHERE s.namespace = :namespace AND s.name > :after
  AND s.name >= :prefix AND substr(s.name, 1, length(:prefix)) = :prefix
ORDER BY s.name LIMIT :limit;

-- name: recent_heads
SELECT s.name, max(e.position), e.time
FROM json_each(?) k CROSS JOIN events e ON e.key = k.value JOIN streams s ON s.key = e.stream GROUP BY s.key;

-- name: newest
SELECT newest FROM namespaces WHERE key = ?;

-- name: newest_in
SELECT max(key) FROM events WHERE category = (SELECT key FROM categories WHERE namespace = ? AND name = ?);

-- name: next_time
SELECT key, time FROM events WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1;

-- name: oldest_of_category
SELECT oldest FROM categories WHERE namespace = ? AND name = ?;

-- name: oldest
SELECT coalesce(max(oldest), 1) FROM categories WHERE namespace = ?;

-- name: expired
SELECT key, digest, stream, position, time FROM events
WHERE category = ? AND time < ? ORDER BY key LIMIT ?;

-- name: event_columns
(e.key >> 43), s.name, e.type, e.position, e.key & 0x7FFFFFFFFFF, e.id, e.data, e.metadata, e.time

-- name: row_stream
concat('["', e.id, '",', json_quote(e.type), ',', e.position, ',', e.key & 0x7FFFFFFFFFF, ',',
  e.data, ',', coalesce(e.metadata, 'null'), ',"', {time}, '"]')

-- name: row_category
concat('["', e.id, '",', json_quote(s.name), ',', json_quote(e.type), ',', e.position, ',', e.key & 0x7FFFFFFFFFF, ',',
  e.data, ',', coalesce(e.metadata, 'null'), ',"', {time}, '"]')

-- name: time
replace(datetime((e.time - ((e.time % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch'), ' ', 'T'),
  '.', substr(1000000 + ((e.time % 1000000) + 1000000) % 1000000, 2), 'Z'

-- name: raise_floor
UPDATE streams SET floor = ?, floor_time = ? WHERE key = ? AND floor < ?;

-- name: empty_namespace
UPDATE namespaces SET newest = 0, messages = 0, streams = 0, last = NULL, widest = 0,
  written = '0', removed = '0', verified = 0, verified_sum = '0' WHERE key = ?;

-- name: taken
SELECT EXISTS (SELECT 1 FROM events WHERE key = :key)
  OR EXISTS (SELECT 1 FROM events WHERE id = :id AND key >> 43 = :namespace)
  OR EXISTS (SELECT 1 FROM places WHERE position = :position
             AND stream = (SELECT key FROM streams WHERE namespace = :namespace AND name = :stream));

-- name: counts
SELECT key, id, newest, messages FROM namespaces ORDER BY id;

-- name: counted
SELECT (SELECT count(*) FROM streams WHERE namespace = :key),
  (SELECT coalesce(sum(messages), 0) FROM categories WHERE namespace = :key);
