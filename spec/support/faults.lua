-- Calls that fail, in a command: spec/support/faults.c, which is preloaded.
--
--     local line = faults.line({ { "fsync", errno = 5, count = 1 } }, command.halo(script))

local build = require "spec.support.build"
local command = require "spec.support.command"

local faults = {}

local library, why_not = build.library "faults"

---Why it cannot be done here; nil where it can.
---@return string?
function faults.unavailable()
  local sanitizers = os.getenv "SANITIZE" or ""
  if sanitizers:find("thread", 1, true) then
    return "TSAN wants the calls for itself"
  end
  return why_not
end

---Whether memory can be made to run out as well: a sanitizer has an allocator of its own.
---@return boolean
function faults.has_calloc()
  return (os.getenv "SANITIZE" or "") == ""
end

---The same line, with these calls failing. A rule has the call's name, and may have errno (-1: the
---call is made all the same), delay_ms, skip, count and path, as faults.c tells; without a count
---all fail.
---@param rules table[]
---@param line string one simple command
---@param log string? a file to which each call that was decided adds a line
---@return string
function faults.line(rules, line, log)
  local words = {}
  for i, rule in ipairs(rules) do
    words[i] = ("%s:%d:%d:%d:%d:%s"):format(rule[1], rule.errno or -1, rule.delay_ms or 0,
      rule.skip or 0, rule.count or -1, rule.path or "")
  end
  local preload = library
  if (os.getenv "SANITIZE" or ""):find("address", 1, true) then
    local asan = io.popen "gcc -print-file-name=libasan.so"
    preload = asan:read "*l" .. ":" .. library
    asan:close()
  end
  return command.quote("env", "LD_PRELOAD=" .. preload, "HALO_FAULTS=" .. table.concat(words, " "),
    "HALO_FAULTS_LOG=" .. (log or "/dev/null")) .. " " .. line
end

return faults
