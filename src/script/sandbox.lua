-- What a script finds around it: the standard functions less those that reach outside, libraries nobody can change,
-- and functions that raise errors as scripts of 7.0.15 see them. Runs once in a new Lua state. `raw` holds functions
-- in Rust, which return what went wrong instead of raising it.
local raw, libs, deprecated = ...
local error, type, tostring, tonumber, select = error, type, tostring, tonumber, select
local getmetatable, setmetatable, rawset, rawget = getmetatable, setmetatable, rawset, rawget
local next, pairs, pcall, xpcall = next, pairs, pcall, xpcall
local load, loadstring = load, loadstring
local byte, floor = string.byte, math.floor
local message, where, native = raw.message, raw.where, raw.native
local G = _G

for _, name in next, {'dofile', 'loadfile', 'print', 'require', 'module', 'package', 'os', 'io', 'debug'} do
  G[name] = nil
end
if not deprecated then
  for _, name in next, {'getfenv', 'setfenv', 'newproxy'} do G[name] = nil end
end

-- Tables that are shown through an empty one, so that each assignment is seen, and refused.
local real = {}

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function protect(t, meta)
  local proxy = setmetatable({}, {__index = t, __newindex = refuse, __metatable = meta or false})
  real[proxy] = t
  return proxy
end

-- What follows is called by a function in C, `native`, which raises what these return: `false` and the results, `true`
-- and an error, zero and a text that is raised with the caller's place before it, or the number of an argument and what
-- is wrong with it.

local function bad(at, wanted, ...)
  local n = select('#', ...)
  return at, wanted .. ' expected, got ' .. (n < at and 'no value' or type((select(at, ...))))
end

G.next = native(function(...)
  local t, key = ...
  if type(t) ~= 'table' then return bad(1, 'table', ...) end
  return false, next(real[t] or t, key)
end)

G.pairs = native(function(...)
  local t = ...
  if type(t) ~= 'table' then return bad(1, 'table', ...) end
  local hidden = real[t]
  if hidden then
    return false, function(_, key) return next(hidden, key) end, t, nil
  end
  return false, next, t, nil
end)

G.getmetatable = native(function(...)
  if select('#', ...) == 0 then return 1, 'value expected' end
  return false, getmetatable((...)) or nil
end)

G.rawget = native(function(...)
  local t, key = ...
  if type(t) ~= 'table' then return bad(1, 'table', ...) end
  return false, rawget(real[t] or t, key)
end)

G.rawset = native(function(...)
  local t, key, value = ...
  if type(t) ~= 'table' then return bad(1, 'table', ...) end
  if real[t] then return true, 'Attempt to modify a readonly table' end
  return false, rawset(t, key, value)
end)

G.setmetatable = native(function(...)
  local t, meta = ...
  if type(t) ~= 'table' then return bad(1, 'table', ...) end
  if real[t] then return true, 'Attempt to modify a readonly table' end
  if select('#', ...) < 2 or meta ~= nil and type(meta) ~= 'table' then
    return 2, 'nil or table expected'
  end
  if getmetatable(t) ~= nil then
    local ok, e = pcall(setmetatable, t, meta)
    if not ok then return 0, e end
    return false, t
  end
  return false, setmetatable(t, meta)
end)

G.unpack = raw.unpack

-- Compiled code can do anything to the machine that runs it, so only text is loaded.
local BINARY = "attempt to load a binary chunk: unexpected symbol near 'char(27)'"

local function binary(text)
  return byte(text, 1) == 27
end

G.loadstring = native(function(...)
  local text, name = ...
  if type(text) == 'number' then text = tostring(text) end
  if type(text) ~= 'string' then return bad(1, 'string', ...) end
  if binary(text) then return false, nil, BINARY end
  return false, loadstring(text, name)
end)

G.load = native(function(...)
  local reader, name = ...
  if type(reader) ~= 'function' then return bad(1, 'function', ...) end
  local first = true
  return false, load(function()
    local piece = reader()
    if first and type(piece) == 'string' and piece ~= '' then
      first = false
      if binary(piece) then error(BINARY, 0) end
    end
    return piece
  end, name)
end)

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
  if select('#', ...) == 0 then return caught(pcall(nil)) end
  return caught(pcall(...))
end

G.xpcall = native(function(...)
  local f, handler = ...
  if select('#', ...) < 2 then return 2, 'value expected' end
  return false, xpcall(f, function(e) return handler(plain(e)) end)
end)

local resume = coroutine.resume
local function resumed(ok, e, ...)
  if ok then return ok, e, ... end
  return ok, plain(e)
end
coroutine.resume = function(...) return resumed(resume(...)) end

local function integer(value)
  local n = tonumber(value)
  return n and (n < 0 and -floor(-n) or floor(n))
end

math.random = native(function(...)
  local r, n = raw.random(), select('#', ...)
  if n == 0 then return false, r end
  if n > 2 then return 0, 'wrong number of arguments' end
  local low, high = 1, integer((...))
  if n == 2 then low, high = high, integer((select(2, ...))) end
  if not low or n == 1 and not high then return bad(1, 'number', ...) end
  if not high then return bad(2, 'number', ...) end
  if low > high then return n, 'interval is empty' end
  return false, floor(r * (high - low + 1)) + low
end)

math.randomseed = native(function(...)
  local seed = integer((...))
  if not seed then return bad(1, 'number', ...) end
  raw.randomseed(seed)
  return false
end)

local redis = {
  call = raw.call,
  pcall = raw.pcall,
  error_reply = raw.error_reply,
  status_reply = raw.status_reply,
  sha1hex = raw.sha1hex,
  log = raw.log,
  setresp = raw.setresp,
  set_repl = raw.set_repl,
  acl_check_cmd = raw.acl_check_cmd,
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

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
setmetatable(G, {__index = missing})
local shown = protect(G, protect({__index = missing}))
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
