package store

import "attache/internal/redisclient"

// A token is a hash in Redis, with the fields
//
//	generation  a number; the value is sealed with it
//	value       the sealed token
//	reference   when it was issued (or, if that is not known, expires) by the clock
//	            of Redis, in Unix milliseconds; empty: it has no times
//	rejected    "1" if it is
//
// All that changes it is done by these scripts, each of which may run again for
// one operation: when the connection broke before the reply was read.

// Replies of scripts.
const (
	redisDone  = "done"
	redisHeld  = "held"
	redisOther = "other"
)

// markOf is a Lua function that tells what is under a key: the generation; "":
// nothing; anything else that is no number: something strange.
const markOf = `
local function mark(key)
  local kind = redis.call('TYPE', key)
  kind = kind['ok'] or kind
  if kind == 'none' then return '' end
  if kind ~= 'hash' then return '!' .. kind end
  local generation = redis.call('HGET', key, 'generation')
  if not generation or generation == '' or #generation > 20 then return '?' end
  return generation
end
`

// nowOf is a Lua function that returns the time in Unix milliseconds.
const nowOf = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`

// luaNumber is how Lua writes a whole number.
const luaNumber = `'%.0f'`

const (
	// redisTell returns the time of Redis.
	redisTell redisclient.Script = nowOf + `return string.format(` + luaNumber + `, now())`

	// redisLoad returns the time, the mark, and with a hash its fields. A value
	// longer than ARGV[1] bytes is not returned.
	redisLoad redisclient.Script = markOf + nowOf + `
local found = mark(KEYS[1])
local reply = {string.format(` + luaNumber + `, now()), found, '', '', '', ''}
if found == '' or string.sub(found, 1, 1) == '!' then return reply end
for i, field in ipairs({'value', 'reference', 'rejected'}) do
  if redis.call('HSTRLEN', KEYS[1], field) > tonumber(ARGV[1]) then
    reply[6] = 'large'
  else
    reply[i + 2] = redis.call('HGET', KEYS[1], field) or ''
  end
end
return reply`

	// redisSave: the mark that is expected, the epoch (0: any), generation, value,
	// reference, what the writer takes for the time, how long to keep it in
	// milliseconds, rejected, channel, message (empty: none). A writer whose clock
	// was set since it last looked at the one of Redis is off by more than an
	// operation takes. The message is sent first: a user who may not publish then
	// changes nothing.
	redisSave redisclient.Script = markOf + nowOf + `
local found = mark(KEYS[1])
if found == ARGV[3] and redis.call('HGET', KEYS[1], 'value') == ARGV[4] then return 'done' end
if ARGV[2] ~= '0' then
  local epoch = redis.call('GET', KEYS[2])
  if epoch and epoch ~= ARGV[2] then return 'held' end
end
if found ~= ARGV[1] then return 'other' end
local reference, off = ARGV[5], now() - tonumber(ARGV[6])
if reference ~= '' and math.abs(off) > 5000 then
  reference = string.format(` + luaNumber + `, reference + off)
end
if ARGV[10] ~= '' then redis.call('PUBLISH', ARGV[9], ARGV[10]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'generation', ARGV[3], 'value', ARGV[4], 'reference', reference, 'rejected', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return 'done'`

	// redisReject: the generation, channel, message.
	redisReject redisclient.Script = markOf + `
if mark(KEYS[1]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'rejected') == '1' then return 'done' end
redis.call('PUBLISH', ARGV[2], ARGV[3])
redis.call('HSET', KEYS[1], 'rejected', '1')
return 'done'`

	// redisAcquire: the owner, how long in milliseconds, how long to remember the
	// epoch. It returns the epoch: the time in microseconds, so that it rises
	// though Redis has lost the one before, or one more than that one. A lease that
	// never ends is nobody's: somebody restored or copied it without its time.
	redisAcquire redisclient.Script = `
local owner = redis.call('GET', KEYS[1])
local last = redis.call('GET', KEYS[2])
if owner == ARGV[1] and last then return last end
if owner and redis.call('PTTL', KEYS[1]) ~= -1 then return 'held' end
local t = redis.call('TIME')
local epoch = t[1] * 1000000 + t[2]
last = tonumber(last or '')
if last and last >= epoch and last < 9000000000000000 then epoch = last + 1 end
epoch = string.format(` + luaNumber + `, epoch)
redis.call('SET', KEYS[2], epoch, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return epoch`

	// redisExtend: the owner, how long, the epoch, how long to remember that. One
	// that ran out is taken again if nobody has had it since.
	redisExtend redisclient.Script = `
local owner = redis.call('GET', KEYS[1])
local last = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] or last and last ~= ARGV[3] then return 'held' end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'done'`

	// redisRelease: the owner.
	redisRelease redisclient.Script = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'done'`
)
