-- What a script finds around it: the standard functions less those that reach outside, libraries nobody can change,
-- and functions that raise errors as scripts of 7.0.15 see them. Runs once in a new Lua state. `raw` holds functions
-- in Rust, which return what went wrong instead of raising it.
local raw, libs = ...
local error, type, tostring, tonumber, select = error, type, tostring, tonumber, select
local getmetatable, setmetatable, rawset, rawget = getmetatable, setmetatable, rawset, rawget
local next, pairs, pcall, xpcall = next, pairs, pcall, xpcall
local load, loadstring = load, loadstring
local byte, floor = string.byte, math.floor
local message, where = raw.message, raw.where
local G = _G

for _, name in next, {'dofile', 'loadfile', 'print', 'getfenv', 'setfenv', 'newproxy', 'require', 'module', 'package',
                      'os', 'io', 'debug'} do
  G[name] = nil
end

-- Tables that are shown through an empty one, so that each assignment is seen, and refused.
local real = {}

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function protect(t)
  local proxy = setmetatable({}, {__index = t, __newindex = refuse, __metatable = false})
  real[proxy] = t
  return proxy
end

local function bad_table(name, got)
  error("bad argument #1 to '" .. name .. "' (table expected, got " .. got .. ')', 3)
end

G.next = function(...)
  local t, key = ...
  if type(t) ~= 'table' then bad_table('next', select('#', ...) == 0 and 'no value' or type(t)) end
  return next(real[t] or t, key)
end

G.pairs = function(...)
  local t = ...
  if type(t) ~= 'table' then bad_table('pairs', select('#', ...) == 0 and 'no value' or type(t)) end
  local hidden = real[t]
  if hidden then
    return function(_, key) return next(hidden, key) end, t, nil
  end
  return next, t, nil
end

G.rawget = function(...)
  local t, key = ...
  if type(t) ~= 'table' then bad_table('rawget', select('#', ...) == 0 and 'no value' or type(t)) end
  return rawget(real[t] or t, key)
end

G.rawset = function(...)
  local t, key, value = ...
  if type(t) ~= 'table' then bad_table('rawset', select('#', ...) == 0 and 'no value' or type(t)) end
  if real[t] then error('Attempt to modify a readonly table', 0) end
  return rawset(t, key, value)
end

G.setmetatable = function(...)
  local t, meta = ...
  if type(t) ~= 'table' then bad_table('setmetatable', select('#', ...) == 0 and 'no value' or type(t)) end
  if real[t] then error('Attempt to modify a readonly table', 0) end
  if select('#', ...) < 2 or meta ~= nil and type(meta) ~= 'table' then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  if getmetatable(t) ~= nil then
    local ok, e = pcall(setmetatable, t, meta)
    if not ok then error(e, 2) end
    return t
  end
  return setmetatable(t, meta)
end

-- Lua 5.1.5 counts the results in an `int` and does not see that it overflows.
local unpack = unpack
G.unpack = function(...)
  local t, i, j = ...
  if type(t) == 'table' then
    local first, last = tonumber(i or 1), tonumber(j or #t)
    if first and last and not (last - first < 7990) then error('too many results to unpack', 2) end
  end
  return unpack(...)
end

-- Compiled code can do anything to the machine that runs it, so only text is loaded.
local function binary(text)
  return byte(text, 1) == 27
end

G.loadstring = function(...)
  local text, name = ...
  if type(text) == 'number' then text = tostring(text) end
  if type(text) ~= 'string' then
    error("bad argument #1 to 'loadstring' (string expected, got "
      .. (select('#', ...) == 0 and 'no value' or type(text)) .. ')', 2)
  end
  if binary(text) then return nil, "attempt to load a binary chunk: unexpected symbol near 'char(27)'" end
  return loadstring(text, name)
end

G.load = function(...)
  local reader, name = ...
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got "
      .. (select('#', ...) == 0 and 'no value' or type(reader)) .. ')', 2)
  end
  local first = true
  return load(function()
    local piece = reader()
    if first and type(piece) == 'string' and piece ~= '' then
      first = false
      if binary(piece) then error("attempt to load a binary chunk: unexpected symbol near 'char(27)'", 0) end
    end
    return piece
  end, name)
end

-- An error that a function in Rust has raised is a text for scripts.
local function plain(e)
  if type(e) == 'userdata' then return message(e) or e end
  return e
end

local function caught(ok, e, ...)
  if ok then return ok, e, ... end
  e = plain(e)
  if type(e) == 'table' then
    local text = rawget(e, 'err')
    if type(text) == 'string' or type(text) == 'number' then e = text end
  end
  return ok, e
end

G.pcall = function(...)
  if select('#', ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
  return caught(pcall(...))
end

G.xpcall = function(...)
  local f, handler = ...
  if select('#', ...) < 2 then error("bad argument #2 to 'xpcall' (value expected)", 2) end
  return xpcall(f, function(e) return handler(plain(e)) end)
end

local resume = coroutine.resume
coroutine.resume = function(...)
  local function result(ok, e, ...)
    if ok then return ok, e, ... end
    return ok, plain(e)
  end
  return result(resume(...))
end

local function integer(name, at, value)
  local n = tonumber(value)
  if not n then error("bad argument #" .. at .. " to '" .. name .. "' (number expected, got "
    .. (value == nil and 'no value' or type(value)) .. ')', 3) end
  return n < 0 and -floor(-n) or floor(n)
end

math.random = function(...)
  local low, high = ...
  local r, n = raw.random(), select('#', ...)
  if n == 0 then return r end
  if n == 1 then
    low, high = 1, integer('random', 1, low)
  elseif n == 2 then
    low, high = integer('random', 1, low), integer('random', 2, high)
  else
    error('wrong number of arguments', 2)
  end
  if low > high then error("bad argument #" .. n .. " to 'random' (interval is empty)", 2) end
  return floor(r * (high - low + 1)) + low
end

math.randomseed = function(seed)
  raw.randomseed(integer('randomseed', 1, seed))
end

local function checked(f)
  return function(...)
    local value, failed = f(...)
    if failed then error(value, 0) end
    return value
  end
end

-- As `checked`, for what returns nothing when all is well.
local function told(f)
  return function(...)
    local failed = f(...)
    if failed then error(failed, 0) end
  end
end

local redis = {
  call = checked(raw.call),
  pcall = function(...)
    local value = raw.call(...)
    return value
  end,
  error_reply = function(...) return raw.error_reply(...) end,
  status_reply = function(...) return raw.status_reply(...) end,
  sha1hex = checked(raw.sha1hex),
  log = told(raw.log),
  setresp = told(raw.setresp),
  set_repl = told(raw.set_repl),
  acl_check_cmd = checked(raw.acl_check_cmd),
  replicate_commands = function() return true end,
  breakpoint = function() return false end,
  debug = function() end,
}
for name, value in next, raw.constants do redis[name] = value end

for name, lib in next, libs do
  G[name] = lib
end
G.redis = redis

for _, name in next, {'string', 'table', 'math', 'coroutine', 'redis'} do
  G[name] = protect(G[name])
end
for name in next, libs do
  G[name] = protect(G[name])
end

-- What the metatable of all strings is must not be found either: it would lead to the tables behind.
getmetatable('').__metatable = protect({__index = G.string})

setmetatable(G, {__index = function(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end})
local shown = protect(G)
G._G = shown

-- What went wrong becomes a table, with the place where it did.
local function handler(e)
  local source, line = where()
  e = plain(e)
  if type(e) ~= 'table' then e = {err = 'ERR ' .. tostring(e)} end
  if source then
    rawset(e, 'source', source)
    rawset(e, 'line', line)
  end
  return e
end

return shown, function(f) return xpcall(f, handler) end,
  function(f, keys, args) return xpcall(function() return f(keys, args) end, handler) end, redis, protect
