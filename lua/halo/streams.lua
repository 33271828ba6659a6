-- From stream to stream, in bounded memory.

local core = require "halo.core"
local check = require "halo.fs.check"
local channel = require "halo.channel"
local fs = require "halo.fs"

local COPY_BYTES = 262144 -- more than a pipe has, so that one turn of a loop moves all of it
local LINES_AHEAD = 16

local streams = {}

---The stream of a File, or of a process that has one by that name.
local function stream_of(value, name, position, caller)
  if check.is_file(value) then
    return value
  end
  local file = type(value) == "table" and rawget(value, name)
  if not check.is_file(file) then
    local problem = "File, or a Process with a pipe as its %s, expected, got %s"
    check.fail(problem:format(name, check.got(value)), position, caller)
  end
  return file
end

---@async
local function write_all(from, to, change)
  local total = 0
  while true do
    local data, message, code = from:read(COPY_BYTES)
    if message then
      return nil, message, code
    elseif not data then
      return total
    end
    local changed = data
    if change then
      changed = change(data)
    end
    if changed then
      local count, refusal, why = to:write(changed)
      if not count then
        return nil, refusal, why
      end
      total = total + count
    end
  end
end

---Moves bytes until there are no more, piece by piece as they come: of Files from their positions
---on. A process that is copied to has read all then: its standard input is closed. Where it is
---cancelled, the piece that it has read last may not be written.
---
---    halo.copy(halo.stdin, process)
---
---@async
---@param from halo.File|halo.Process|string a process gives its standard output
---@param to halo.File|halo.Process
---@param change (fun(data: string): string?)? what to write instead of each piece; nil for nothing
---@return integer? count of the bytes written
---@return string? message
---@return string? code
function streams.copy(from, to, change, ...)
  check.no_more(4, "copy", ...)
  if type(from) ~= "string" then
    from = stream_of(from, "stdout", 1, "copy")
  end
  local target = stream_of(to, "stdin", 2, "copy")
  if change ~= nil and type(change) ~= "function" then
    check.fail(("function expected, got %s"):format(type(change)), 3, "copy")
  end
  local count, message, code
  if type(from) == "string" then
    if change then
      from = change(from) or ""
    end
    count, message, code = target:write(from)
  else
    count, message, code = write_all(from, target, change)
  end
  if count and target ~= to then
    local closed, refusal, why = target:close()
    if not closed then
      return nil, refusal, why
    end
  end
  if not count then
    return nil, message, code
  end
  return count
end

---@async
local function send_lines(file, source, lines, left)
  local ok, err = pcall(function()
    for line in fs.lines(file) do
      lines:send { line, source }
    end
  end)
  left.count = left.count - 1
  if not ok then
    lines:send { nil, source, err }
  elseif left.count == 0 then
    lines:close()
  end
end

---Begins to read all of the streams.
---@return halo.Channel
local function read_all(files, sources)
  local lines = channel.channel(LINES_AHEAD)
  local left = { count = #files }
  for i, file in ipairs(files) do
    core.spawn_helper(send_lines, file, sources[i], lines, left)
  end
  return lines
end

---The lines of several streams as they come, each with what it is from:
---
---    for line, from in halo.lines(one.stdout, two.stdout) do
---
---Up to 16 lines are read ahead. What cannot be read is raised.
---@async
---@param ... halo.File|halo.Process
---@return fun(): string?, halo.File|halo.Process
function streams.lines(...)
  local sources = { ... }
  if not sources[1] then
    check.fail("File expected, got no value", 1, "lines")
  end
  local files = {}
  for i, source in ipairs(sources) do
    files[i] = stream_of(source, "stdout", i, "lines")
  end
  local lines
  return function()
    lines = lines or read_all(files, sources)
    local message = lines:recv()
    local err = message and message[3]
    if type(err) == "string" then
      core.raise(err)
    elseif err then
      error(err, 0)
    elseif message then
      return message[1], message[2]
    end
  end
end

return streams
