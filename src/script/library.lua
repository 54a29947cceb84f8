-- The globals of a library while it is loaded: a table `redis` that can register functions, log, and tell the version.
-- All other names are errors.
local redis, register, protect = ...
local error, tostring, setmetatable, pairs = error, tostring, setmetatable, pairs

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local api = {register_function = register, log = redis.log}
for name, value in pairs(redis) do
  if name:find('^LOG_') or name:find('^REDIS_VERSION') then api[name] = value end
end
return setmetatable({redis = protect(setmetatable(api, {__index = missing}))}, {__index = missing})
