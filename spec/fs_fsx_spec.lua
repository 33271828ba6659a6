-- A file exerciser in the manner of fsx: random calls on a file, and the same on a shadow of it in
-- memory; whatever is read must be what the shadow has. Several tasks do so at the same time, each
-- with a file of its own. HALO_FSX says how many calls to make, HALO_SEED makes a run once more.

local halo = require "halo"
local fs = halo.fs
local ffi = require "ffi"
local random = require "spec.support.random"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local CALLS = tonumber(os.getenv "HALO_FSX") or 20000
local TASKS = 4
local SIZE_MAX = 300000 -- bytes of a file; some pages, and more than one piece of fs.lines
local LENGTH_MAX = 70000 -- of one call
local LOG_LINES = 30 -- shown of what came before a failure

---Bytes to write, any stretch of which is different from any other.
local source
do
  local number, pieces = random.new(1), {}
  for i = 1, 2 * LENGTH_MAX do
    pieces[i] = string.char(number(0, 255))
  end
  source = table.concat(pieces)
end

---@class spec.Exerciser
---@field path string
---@field file halo.File open to read and write
---@field appender halo.File
---@field shadow ffi.cdata* all that the file should have, zeros behind its end
---@field size integer
---@field number fun(from: integer, to: integer?): integer
---@field log string[] the latest calls
---@field calls integer
local Exerciser = {}
Exerciser.__index = Exerciser

local function new_exerciser(path, seed)
  return setmetatable({
    path = path,
    file = assert(fs.open(path, "w+")),
    appender = assert(fs.open(path, "a")),
    shadow = ffi.new("uint8_t[?]", SIZE_MAX),
    size = 0,
    number = random.new(seed),
    log = {},
    calls = 0,
  }, Exerciser)
end

function Exerciser:note(call, ...)
  local words = { ... }
  for i = 1, #words do
    words[i] = tostring(words[i])
  end
  table.insert(self.log, ("%s(%s) size %d"):format(call, table.concat(words, ", "), self.size))
  if #self.log > LOG_LINES then
    table.remove(self.log, 1)
  end
  self.calls = self.calls + 1
end

function Exerciser:fail(problem, ...)
  error(("%s after %d calls, the last ones:\n%s"):format(problem:format(...), self.calls,
    table.concat(self.log, "\n")), 0)
end

---A stretch of the file: its offset and length.
function Exerciser:stretch()
  local length = self.number(0, LENGTH_MAX)
  return self.number(0, SIZE_MAX - length), length
end

function Exerciser:data(length)
  local from = self.number(1, #source - length)
  return source:sub(from, from + length - 1)
end

---What reading there must give.
function Exerciser:expected(offset, length)
  if offset >= self.size then
    return ""
  end
  return ffi.string(self.shadow + offset, math.min(length, self.size - offset))
end

function Exerciser:compare(data, expected)
  if data == expected then
    return
  elseif #data ~= #expected then
    self:fail("%d bytes in place of %d", #data, #expected)
  end
  local at = 1
  while data:byte(at) == expected:byte(at) do
    at = at + 1
  end
  self:fail("byte %d of what was read is wrong", at)
end

---Of a call's results: true, or false where the file system does not know how to.
function Exerciser:check(ok, message, code)
  if code == "EOPNOTSUPP" then
    return false
  elseif ok == nil then
    self:fail("%s", message)
  end
  return true
end

function Exerciser:put(offset, data)
  ffi.copy(self.shadow + offset, data, #data)
  if #data > 0 then
    self.size = math.max(self.size, offset + #data)
  end
end

---Zeros up to a new size, or to the end that the file has.
function Exerciser:clear(offset, length, size)
  ffi.fill(self.shadow + offset, length)
  self.size = size or self.size
end

local calls = {}

function calls.read(self)
  local offset, length = self:stretch()
  self:note("read", offset, length)
  local data, message = self.file:pread(length, offset)
  self:compare(assert(data or not message and ""), self:expected(offset, length))
end

function calls.read_on(self)
  local offset, length = self:stretch()
  self:note("seek and read", offset, length)
  self.file:seek("set", offset)
  local data, message = self.file:read(length)
  data = assert(data or not message and "", message)
  self:compare(data, self:expected(offset, length))
  self:compare(tostring(self.file:tell()), tostring(offset + #data))
end

function calls.readv(self)
  local offset, length = self:stretch()
  local first = halo.buffer(self.number(1, 5000))
  local second = halo.buffer(length + 1)
  self:note("readv", offset, first:size(), second:size())
  self.file:seek("set", offset)
  local count = assert(self.file:readv { first, second })
  local data = (first:string() .. second:string()):sub(1, count)
  self:compare(data, self:expected(offset, first:size() + second:size()))
end

function calls.write(self)
  local offset, length = self:stretch()
  local data = self:data(length)
  self:note("write", offset, length)
  self:check(self.file:pwrite(data, offset))
  self:put(offset, data)
end

function calls.write_on(self)
  local offset, length = self:stretch()
  local data = self:data(length)
  self:note("seek and write", offset, length)
  self.file:seek("set", offset)
  local half = math.floor(length / 2)
  self:check(self.file:write(data:sub(1, half)))
  self:check(self.file:write { data:sub(half + 1, half + 10), data:sub(half + 11) })
  self:put(offset, data)
end

function calls.append(self)
  local length = math.min(self.number(0, 5000), SIZE_MAX - self.size)
  local data = self:data(length)
  self:note("append", length)
  self:check(self.appender:write(data))
  self:put(self.size, data)
end

function calls.truncate(self)
  local size = self.number(0, SIZE_MAX)
  self:note("truncate", size)
  self:check(self.number(2) == 1 and self.file:truncate(size) or fs.truncate(self.path, size))
  self:clear(size, math.max(0, self.size - size), size)
end

function calls.punch(self)
  local offset, length = self:stretch()
  self:note("punch", offset, length)
  if length > 0 and self:check(self.file:fallocate(offset, length, { punch_hole = true })) then
    self:clear(offset, length)
  end
end

function calls.zero(self)
  local offset, length = self:stretch()
  self:note("zero", offset, length)
  if length > 0 and self:check(self.file:fallocate(offset, length, { zero = true })) then
    self:clear(offset, length, math.max(self.size, offset + length))
  end
end

function calls.allocate(self)
  local offset, length = self:stretch()
  local keep = self.number(2) == 1
  self:note("allocate", offset, length, keep)
  if length > 0 and self:check(self.file:fallocate(offset, length, { keep_size = keep })) then
    self.size = keep and self.size or math.max(self.size, offset + length)
  end
end

function calls.sync(self)
  self:note("sync")
  self:check(self.file[self.number(2) == 1 and "fsync" or "fdatasync"](self.file))
end

function calls.reopen(self)
  self:note("reopen")
  self:check(self.file:close())
  self.file = assert(fs.open(self.path, "r+"))
end

function calls.look(self)
  self:note("look")
  self:compare(tostring(self.file:stat("size")), tostring(self.size))
  self:compare(assert(fs.readfile(self.path)), self:expected(0, self.size))
end

function calls.copy(self)
  self:note("copy")
  local copy = self.path .. ".copy"
  self:check(fs.copy(self.path, copy))
  self:compare(assert(fs.readfile(copy)), self:expected(0, self.size))
end

function calls.lines(self)
  self:note("lines")
  local offset, lines = self:stretch(), {}
  for line in self.file:lines(true, offset) do
    lines[#lines + 1] = line
  end
  self:compare(table.concat(lines), self:expected(offset, self.size))
end

local choose = random.chooser {
  { 20, calls.read },
  { 10, calls.read_on },
  { 5, calls.readv },
  { 20, calls.write },
  { 10, calls.write_on },
  { 10, calls.append },
  { 8, calls.truncate },
  { 6, calls.punch },
  { 3, calls.zero },
  { 4, calls.allocate },
  { 1, calls.sync },
  { 2, calls.reopen },
  { 3, calls.look },
  { 1, calls.copy },
  { 2, calls.lines },
}

---What is in the file in the end, seen by plain io.
function Exerciser:finish()
  self.file:close()
  self.appender:close()
  local plain = io.open(self.path, "rb")
  self:note("the end")
  self:compare(plain:read("*a"), self:expected(0, self.size))
  plain:close()
end

describe("a file", function()
  local dir = temp.dir()

  it("has what was written to it, whatever else was done #slow", function()
    local seed = random.seed "fsx"
    halo.scope(function(scope)
      for i = 1, TASKS do
        scope:spawn(function()
          local exerciser = new_exerciser(dir:path("file" .. i), seed + i)
          for _ = 1, CALLS / TASKS do
            choose(exerciser.number, exerciser)
          end
          exerciser:finish()
        end)
      end
    end)
    survived.tell { name = "fsx", kind = "random calls on a file, against a shadow of it",
      tried = CALLS, unit = "calls", lost = 0, command = "make test SPEC=spec/fs_fsx_spec.lua" }
  end)
end)
