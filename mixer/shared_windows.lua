-- Takes amounts from one window, all at Redis' own time, so that replicas need no clocks that agree.
-- KEYS: the window, then for each ask its deduplication key (the window again where it has none).
-- ARGV: algorithm, maximum, duration (us), slots, how long repetitions are known (ms), then for each ask: amount,
--       1 for best effort, 1 for a deduplication key.
-- Answers: seconds until the last amount counts no more (us), until something is free again (us), then what is granted.
local window = KEYS[1]
local rolling = ARGV[1] == 'ROLLING_WINDOW'
local maximum, duration, slots = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local width = duration / slots

local function whole(number) return string.format('%.0f', number) end
local function stored(field) return tonumber(redis.call('HGET', window, field) or 0) end

local used, first, last, ends = stored('used'), 0, 0, 0
local slot = math.floor(now / width)
if rolling then
  first, last = stored('first'), stored('last')
  local dead = math.floor((now - duration) / width) - 1
  if last <= dead or last - slot > 1 then -- all is old, or another server's clock was far ahead
    redis.call('DEL', window)
    used, first, last = 0, slot, slot
  end
  while first <= dead do
    used = used - stored(whole(first))
    redis.call('HDEL', window, whole(first))
    first = first + 1
  end
else
  ends = stored('ends')
  if now >= ends or ends - now > duration then used, ends = 0, now + duration end
end

local granted, before = {}, used
for ask = 1, #KEYS - 1 do
  local at = 5 + 3 * (ask - 1)
  local amount, best, known = tonumber(ARGV[at + 1]), ARGV[at + 2] == '1', ARGV[at + 3] == '1'
  local answer = known and redis.call('GET', KEYS[ask + 1])
  if answer then
    answer = math.min(tonumber(answer), amount)
  else
    local free = math.max(maximum - used, 0)
    answer = amount <= free and amount or (best and free or 0)
    used = used + answer
    if known then redis.call('SET', KEYS[ask + 1], whole(answer), 'PX', ARGV[5]) end
  end
  granted[ask] = answer
end

if used ~= before then
  local ttl = whole(math.ceil((duration + width) / 1000) + 1)
  if rolling then
    last = math.max(last, slot)
    redis.call('HINCRBY', window, whole(last), whole(used - before))
    redis.call('HSET', window, 'used', whole(used), 'first', whole(first), 'last', whole(last))
  else
    redis.call('HSET', window, 'used', whole(used), 'ends', whole(ends))
  end
  redis.call('PEXPIRE', window, ttl)
end

local free_in = 0
if used >= maximum and maximum > 0 then
  free_in = ends - now
  if rolling then
    while first < last and stored(whole(first)) == 0 do first = first + 1 end
    free_in = (first + 1) * width + duration - now
  end
end
local answers = {rolling and duration or ends - now, math.max(math.floor(free_in), 0)}
for ask = 1, #granted do answers[ask + 2] = granted[ask] end
return answers
