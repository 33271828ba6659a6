-- What a process takes at the moment, and how long its work takes: memory, descriptors, threads,
-- latencies. Those are in classes that grow by a fifth each: notes that take no more with time.

local ffi = require "ffi"
local halo = require "halo"

ffi.cdef [[
struct soak_mallinfo2 { size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
  fordblks, keepcost; };
struct soak_mallinfo2 mallinfo2(void);
]]

local vitals = {}

local CLASSES, PER_OCTAVE = 128, 4
local FIRST_S = 1e-7

-- Lua's own io is read here as a plain file; /proc never waits.
local function slurp(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

---The names of a directory of /proc; the one that is open to read it is among them.
local function names(path)
  local list = {}
  for _, entry in ipairs(assert(halo.fs.readdir(path))) do
    table.insert(list, entry.name)
  end
  return list
end

---Halo's own threads and the kernel's workers, which io_uring starts and ends as it likes.
local function count_threads()
  local own, kernel = 0, 0
  for _, name in ipairs(names "/proc/self/task") do
    local ok, comm = pcall(slurp, "/proc/self/task/" .. name .. "/comm")
    if ok and comm:find("^iou%-") then
      kernel = kernel + 1
    elseif ok then
      own = own + 1
    end
  end
  return own, kernel
end

---What malloc has handed out by its main arena, in KiB; 0 where the C library does not tell.
local function malloc_kib()
  local ok, info = pcall(function() return ffi.C.mallinfo2() end)
  return ok and tonumber(info.uordblks + info.hblkhd) / 1024 or 0
end

---@class soak.Sample
---@field rss integer KiB resident
---@field anon integer KiB of them that are no file's
---@field lua number KiB that Lua has, garbage included
---@field malloc number KiB that malloc's main arena has handed out
---@field fds integer
---@field threads integer
---@field kernel_threads integer
---@field in_flight integer

---@return soak.Sample
function vitals.sample()
  local status = slurp "/proc/self/status"
  local own, kernel = count_threads()
  return {
    rss = tonumber(status:match "VmRSS:%s*(%d+)"),
    anon = tonumber(status:match "RssAnon:%s*(%d+)") or 0,
    lua = collectgarbage "count",
    malloc = malloc_kib(),
    fds = #names "/proc/self/fd" - 1,
    threads = own,
    kernel_threads = kernel,
    in_flight = halo.stats().in_flight,
  }
end

---@class soak.Latencies
local Latencies = {}
Latencies.__index = Latencies

---@return soak.Latencies
function vitals.latencies()
  local self = setmetatable({ counts = ffi.new("double[?]", CLASSES) }, Latencies)
  self:clear()
  return self
end

function Latencies:clear()
  ffi.fill(self.counts, ffi.sizeof(self.counts))
  self.total, self.most = 0, 0
end

---@param seconds number
function Latencies:add(seconds)
  local octaves = math.log(math.max(seconds, FIRST_S) / FIRST_S) / math.log(2)
  local class = math.min(math.floor(octaves * PER_OCTAVE), CLASSES - 1)
  self.counts[class] = self.counts[class] + 1
  self.total = self.total + 1
  self.most = math.max(self.most, seconds)
end

---The upper end of the class in which this share of all lies; seconds.
---@param share number
---@return number
function Latencies:quantile(share)
  local before, wanted = 0, self.total * share
  for class = 0, CLASSES - 1 do
    before = before + self.counts[class]
    if before >= wanted then
      return math.min(FIRST_S * 2 ^ ((class + 1) / PER_OCTAVE), self.most)
    end
  end
  return self.most
end

return vitals
