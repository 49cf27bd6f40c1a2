// A shop on node-redis: application.mjs ADDRESS,... DATABASE
//
// Uses the database with RESP2 and the next one with RESP3, and checks every
// answer.

import { createClient, createClientPool, RESP_TYPES } from 'redis';
import assert from 'node:assert/strict';

let answers = 0;
const failures = [];

function check(what, have, want) {
  answers++;
  try {
    // Maps and replies of one protocol have no prototype, those of the other do.
    assert.deepStrictEqual(plain(have), plain(want));
  } catch (e) {
    failures.push(what);
    console.log(`${what}: ${e.message.slice(0, 600)}`);
  }
}

function plain(v) {
  if (Array.isArray(v)) return v.map(plain);
  if (v !== null && typeof v === 'object' && !Buffer.isBuffer(v) && !(v instanceof Set)) {
    return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, plain(e)]));
  }
  return v;
}

async function refuses(what, text, promise) {
  check(what, await promise.then(() => 'no error', (e) => e.message), text);
}

async function collect(iterator) {
  const all = [];
  for await (const page of iterator) all.push(...page);
  return all;
}

const sorted = (a) => [...a].sort();

async function connection(c) {
  check('ping', await c.ping(), 'PONG');
  check('echo', await c.echo('a b'), 'a b');
  check('name', await c.clientGetName(), 'shop');
  check('client info', /\bname=shop\b/.test((await c.sendCommand(['CLIENT', 'INFO'])).toString()), true);
  check('info', /redis_version:/.test(await c.info('server')), true);
  check('config', 'maxmemory' in await c.configGet('maxmemory*'), true);
  check('time', Math.abs(Number((await c.sendCommand(['TIME']))[0]) * 1000 - Date.now()) < 3600e3, true);
}

async function strings(c) {
  const big = '0123456789abcdef'.repeat(1 << 17); // 2 MiB
  for (const v of ['', 'text', '日本', big]) {
    check('set', await c.set('s', v), 'OK');
    check('get', await c.get('s'), v);
  }
  const binary = Buffer.from([0, 1, 0xff, 13, 10, 0]);
  const buffers = c.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  check('set binary', await c.set('bin', binary), 'OK');
  check('get binary', await buffers.get('bin'), binary);
  check('getrange', await c.getRange('s', 1 << 20, (1 << 20) + 19), big.slice(1 << 20, (1 << 20) + 20));
  check('set nx', await c.set('s', 'other', { condition: 'NX' }), null);
  check('set xx', await c.set('s', '10', { condition: 'XX', expiration: { type: 'EX', value: 3600 } }), 'OK');
  check('ttl', await c.ttl('s') > 3000, true);
  check('incrby', await c.incrBy('s', 5), 15);
  check('incrbyfloat', await c.incrByFloat('s', 0.5), '15.5');
  check('append', await c.append('s', 'x'), 5);
  check('mget', await c.mGet(['s', 'none']), ['15.5x', null]);
  check('getdel', await c.getDel('s'), '15.5x');
  check('setbit', await c.setBit('bits', 1000, 1), 0);
  check('bitcount', await c.bitCount('bits'), 1);
}

async function hashes(c) {
  check('hset', await c.hSet('cart', { owner: 'ann', items: 3, total: '19.5' }), 3);
  check('hgetall', await c.hGetAll('cart'), { owner: 'ann', items: '3', total: '19.5' });
  check('hgetall of nothing', await c.hGetAll('none'), {});
  check('hmget', await c.hmGet('cart', ['owner', 'none']), ['ann', null]);
  check('hincrby', await c.hIncrBy('cart', 'items', 1), 4);
  check('hincrbyfloat', await c.hIncrByFloat('cart', 'total', 1.25), '20.75');
  check('hrandfield', (await c.hRandFieldCountWithValues('cart', 10)).length, 3);
  check('hdel', await c.hDel('cart', ['total', 'none']), 1);
  const many = {};
  for (let i = 0; i < 2000; i++) many[`field${i}`] = 'v'.repeat(i % 100);
  check('hset of many', await c.hSet('big', many), 2000);
  check('hgetall of many', await c.hGetAll('big'), many);
  const found = await collect(c.hScanIterator('big', { MATCH: 'field*', COUNT: 100 }));
  check('hscan', Object.fromEntries(found.map(({ field, value }) => [field, value])), many);
}

async function lists(c) {
  check('rpush', await c.rPush('queue', ['a', 'b', 'c']), 3);
  check('lpush', await c.lPush('queue', 'z'), 4);
  check('lrange', await c.lRange('queue', 0, -1), ['z', 'a', 'b', 'c']);
  check('lpos', await c.lPos('queue', 'b'), 2);
  check('linsert', await c.lInsert('queue', 'AFTER', 'b', 'b2'), 5);
  check('lpop', await c.lPopCount('queue', 2), ['z', 'a']);
  check('rpop', await c.rPop('queue'), 'c');
  check('lindex', await c.lIndex('queue', -1), 'b2');
  check('lset', await c.lSet('queue', 0, 'first'), 'OK');
  check('ltrim', await c.lTrim('queue', 0, 0), 'OK');
  check('lrem', await c.lRem('queue', 0, 'first'), 1);
  check('llen', await c.lLen('queue'), 0);
}

async function sets(c) {
  check('sadd', await c.sAdd('red', ['apple', 'cherry', 'rose']), 3);
  check('sadd', await c.sAdd('fruit', ['apple', 'banana']), 2);
  check('smembers', sorted(await c.sMembers('fruit')), ['apple', 'banana']);
  check('sinter', [...await c.sInter(['red', 'fruit'])], ['apple']);
  check('sdiff', [...await c.sDiff(['fruit', 'red'])], ['banana']);
  check('sunion', sorted(await c.sUnion(['red', 'fruit'])), ['apple', 'banana', 'cherry', 'rose']);
  check('sintercard', await c.sInterCard(['red', 'fruit']), 1);
  check('smismember', (await c.smIsMember('red', ['rose', 'banana'])).map(Number), [1, 0]);
  check('spop', sorted(await c.sPopCount('red', 10)), ['apple', 'cherry', 'rose']);
  check('exists', await c.exists(['red', 'fruit']), 1);
  const many = Array.from({ length: 3000 }, (_, i) => `member${i}`);
  check('sadd of many', await c.sAdd('many', many), 3000);
  check('sscan', sorted(new Set(await collect(c.sScanIterator('many', { COUNT: 500 })))), sorted(many));
}

async function sortedSets(c) {
  check('zadd', await c.zAdd('board', [{ score: 10, value: 'ann' }, { score: 20.5, value: 'bob' }, { score: -1, value: 'eve' }]), 3);
  check('zadd gt ch', await c.zAdd('board', [{ score: 15, value: 'ann' }, { score: -5, value: 'eve' }], { comparison: 'GT', CH: true }), 1);
  check('zincrby', await c.zIncrBy('board', 0.5, 'bob'), 21);
  check('zrange', await c.zRangeWithScores('board', 0, -1, { REV: true }),
    [{ value: 'bob', score: 21 }, { value: 'ann', score: 15 }, { value: 'eve', score: -1 }]);
  check('zrange by score', await c.zRange('board', '(-1', '+inf', { BY: 'SCORE', LIMIT: { offset: 0, count: 1 } }), ['ann']);
  check('zrank', await c.zRank('board', 'ann'), 1);
  check('zscore', await c.zScore('board', 'none'), null);
  check('zmscore', await c.zmScore('board', ['ann', 'none']), [15, null]);
  check('zcount', await c.zCount('board', 0, 'inf'), 2);
  check('zadd', await c.zAdd('bonus', { score: Infinity, value: 'ann' }), 1);
  check('zinter', await c.zInterWithScores(['board', 'bonus']), [{ value: 'ann', score: Infinity }]);
  check('zunion', await c.zUnion(['board', 'bonus']), ['eve', 'bob', 'ann']);
  check('zpopmin', await c.zPopMin('board'), { value: 'eve', score: -1 });
  const many = Array.from({ length: 1000 }, (_, i) => ({ value: `m${i}`, score: i / 3 }));
  check('zadd of many', await c.zAdd('large', many), 1000);
  const found = new Map((await collect(c.zScanIterator('large', { COUNT: 50 }))).map((m) => [m.value, m.score]));
  check('zscan', many.every((m) => found.get(m.value) === m.score), true);
  check('geoadd', await c.geoAdd('shops', [
    { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }, { longitude: 15.087269, latitude: 37.502669, member: 'Catania' },
  ]), 2);
  check('geodist', await c.geoDist('shops', 'Palermo', 'Catania', 'km'), 166.2742);
  check('geosearch', await c.geoSearch('shops', { longitude: 15, latitude: 37 }, { radius: 200, unit: 'km' }, { SORT: 'ASC' }), ['Catania', 'Palermo']);
}

async function streams(c) {
  check('xgroup create', await c.xGroupCreate('orders', 'billing', '$', { MKSTREAM: true }), 'OK');
  for (let i = 0; i < 5; i++) check('xadd', await c.xAdd('orders', `${i + 1}-0`, { n: String(i) }), `${i + 1}-0`);
  const ids = (messages) => messages.map((m) => m.id);
  const range = await c.xRange('orders', '-', '+', { COUNT: 1 });
  check('xrange', [range[0].id, range[0].message], ['1-0', { n: '0' }]);
  const read = await c.xReadGroup('billing', 'one', { key: 'orders', id: '>' }, { COUNT: 3 });
  check('xreadgroup', ids(stream(read)), ['1-0', '2-0', '3-0']);
  check('xread', ids(stream(await c.xRead({ key: 'orders', id: '3-0' }))), ['4-0', '5-0']);
  check('xack', await c.xAck('orders', 'billing', '1-0'), 1);
  const pending = await c.xPending('orders', 'billing');
  check('xpending', [pending.pending, pending.firstId, pending.lastId], [2, '2-0', '3-0']);
  check('xautoclaim', ids((await c.xAutoClaim('orders', 'billing', 'two', 0, '0')).messages), ['2-0', '3-0']);
  check('xinfo groups', (await c.xInfoGroups('orders'))[0].pending, 2);
  check('xinfo consumers', (await c.xInfoConsumers('orders', 'billing')).map((x) => x.name), ['one', 'two']);
  check('xinfo stream', (await c.xInfoStream('orders')).length, 5);
  check('xtrim', await c.xTrim('orders', 'MAXLEN', 2), 3);
  check('xdel', await c.xDel('orders', '5-0'), 1);
  check('xgroup destroy', Number(await c.xGroupDestroy('orders', 'billing')), 1);
}

// One stream's messages: RESP3 answers with a map, RESP2 with pairs.
function stream(reply) {
  return Array.isArray(reply) ? reply[0].messages : reply.orders;
}

async function keys(c) {
  check('pfadd', Number(await c.pfAdd('visitors', Array.from({ length: 1000 }, (_, i) => String(i)))), 1);
  const n = await c.pfCount('visitors');
  check('pfcount', n > 970 && n < 1030, true);
  check('expire', Number(await c.expire('board', 3600)), 1);
  check('persist', Number(await c.persist('board')), 1);
  check('type', await c.type('board'), 'zset');
  check('object encoding', await c.objectEncoding('board'), 'listpack');
  const dump = await c.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).dump('board');
  check('restore', await c.restore('copy', 0, dump), 'OK');
  check('copy', await c.zRangeWithScores('copy', 0, -1), await c.zRangeWithScores('board', 0, -1));
  await c.rPush('unsorted', ['3', '1', '2']);
  check('sort', await c.sortRo('unsorted', { DIRECTION: 'DESC' }), ['3', '2', '1']);
  const every = await c.keys('*');
  check('scan', sorted(new Set(await collect(c.scanIterator({ COUNT: 3 })))), sorted(every));
  check('dbsize', await c.dbSize(), every.length);
  check('unlink', await c.unlink(['copy', 'none']), 1);
}

// What is asked in one turn of the event loop goes out as one pipeline.
async function pipelines(c) {
  const done = await Promise.all(Array.from({ length: 500 }, (_, i) => [c.incr('hits'), c.hIncrBy('by', String(i % 10), 1), c.get('none')]).flat());
  check('pipeline', [done.length, done[1497], done[1499]], [1500, 500, null]);
  check('as a pipeline', await c.multi().set('p', '1').incr('p').get('p').execAsPipeline(), ['OK', 2, '2']);
  check('by', await c.hGetAll('by'), Object.fromEntries(Array.from({ length: 10 }, (_, i) => [String(i), '50'])));
  await refuses('wrong type', 'WRONGTYPE Operation against a key holding the wrong kind of value', c.lPush('hits', 'x'));
  await refuses('not a number', 'ERR value is not an integer or out of range', c.incrBy('p', 'x'));
  await refuses('no such command', "ERR unknown command 'NOSUCH', with args beginning with: 'x' ", c.sendCommand(['NOSUCH', 'x']));
}

async function main() {
  const [addresses, database] = [process.argv[2].split(','), Number(process.argv[3])];
  for (const RESP of [2, 3]) {
    const options = { url: `redis://${addresses[0]}/${database + RESP - 2}`, RESP, name: 'shop' };
    const c = createClient(options);
    c.on('error', (e) => { failures.push('connection'); console.log(e); });
    await c.connect();
    check('flush', await c.flushDb(), 'OK');
    for (const part of [connection, strings, hashes, lists, sets, sortedSets, streams, keys, pipelines]) await part(c);
    const pool = createClientPool({ ...options, url: `redis://${addresses.at(-1)}/${database + RESP - 2}` }, { minimum: 2, maximum: 5 });
    await pool.connect();
    const counts = await Promise.all(Array.from({ length: 50 }, () => pool.incr('pooled')));
    check('a pool on another proxy', sorted(counts.map((n) => n + 1000)), sorted(counts.map((_, i) => i + 1001)));
    check('what the first wrote', await pool.get('hits'), '500');
    await pool.close();
    await c.close();
  }
  if (failures.length > 0) {
    console.log(`${failures.length} of ${answers} answers are wrong`);
    process.exit(1);
  }
  console.log(`${answers} answers are right`);
}

await main();
