-- Other programs: started without a shell, waited for without a worker, and ended with the scope
-- that has started them.

local check = require "halo.fs.check"
local options = require "halo.process.options"
local run = require "halo.process.run"
local start = require "halo.process.start"

---@class halo.process
local process = { run = run.run, pipeline = run.pipeline }

local STREAMS = { stdin = "pipe", stdout = "pipe", stderr = "inherit" }

---Starts a program. It belongs to the scope of the caller: a scope waits for it, and one that is
---cancelled ends it, by TERM and after the grace by KILL. Unless it shares a terminal it leads a
---group of processes, which is ended with it.
---@async
---@param given halo.ProcessOptions stdin and stdout are pipes by default, stderr is inherited
---@return halo.Process?
---@return string? message
---@return string? code
function process.spawn(given, ...)
  check.no_more(2, "spawn", ...)
  return start(options.check(given, options.known, STREAMS, "spawn"))
end

return process
