-- The kinds of work that the soak does, over and over. Each checks what it sees and raises where
-- something is wrong; each leaves nothing behind.
--
--     local work = require "spec.soak.work"
--     work.prepare(root)      once; what all share
--     work.kinds              a list of { name, weight, fn(place) }; place: a directory of its own

local halo = require "halo"
local posix = require "spec.support.posix"
local fs = halo.fs

local work = { kinds = {} }

local BLOCK = 4096
local TINY_S = 0.002
local LONG_S = 30 -- for what has to come: far more than it takes
local random = math.random

-- A byte is told by its place, so that whoever reads can say what is wrong.
local pattern = {}
for i = 1, 251 do
  pattern[i] = string.char((i * 7) % 251)
end
pattern = table.concat(pattern):rep(300)

---@param size integer
---@param at? integer where in the file it begins
local function content(size, at)
  local first = (at or 0) % 251
  return pattern:sub(first + 1, first + size)
end

local shared = {}

local function kind(name, weight, fn)
  table.insert(work.kinds, { name = name, weight = weight, fn = fn })
end

---Makes the tree that is walked, a file to lock and a FIFO into which nobody writes.
---@param root string
function work.prepare(root)
  shared.tree = root .. "/tree"
  shared.entries = 0
  for i = 1, 6 do
    local dir = ("%s/%d/inner"):format(shared.tree, i)
    assert(fs.mkdir(dir, { parents = true }))
    shared.entries = shared.entries + 2
    for j = 1, 8 do
      assert(fs.writefile(("%s/%d.txt"):format(dir, j), content(j * 100)))
      shared.entries = shared.entries + 1
    end
  end
  shared.lock = root .. "/lock"
  assert(fs.writefile(shared.lock, ""))
  posix.mkfifo(root .. "/silent")
  shared.silent_path = root .. "/silent"
  shared.silent = assert(fs.open(shared.silent_path, "r+"))
  shared.semaphore = halo.semaphore(3)
end

---More at once than there are workers, so that all of them are there from the first sample on.
function work.burst(root)
  local numbers = {}
  for i = 1, 256 do
    numbers[i] = i
  end
  halo.map(numbers, function(i)
    local path = ("%s/burst%d"):format(root, i)
    assert(fs.copy(shared.tree .. "/1/inner/8.txt", path))
    assert(fs.hash(path, "sha256"))
    assert(fs.remove(path))
  end, 256)
end

---Ends what halo holds for a later reader of the silent FIFO: such a read stays in flight.
function work.settle()
  shared.silent:close()
  shared.silent = assert(fs.open(shared.silent_path, "r+"))
end

---Closes what prepare() has opened.
function work.finish()
  shared.silent:close()
end

local function same(got, expected, what)
  if got ~= expected then
    error(("%s: %d bytes that are not the %d expected"):format(what, #(got or ""), #expected), 2)
  end
end

-- Files -------------------------------------------------------------------------------------------

kind("small files", 12, function(place)
  local path, size = place .. "/small", random(20000)
  assert(fs.writefile(path, content(size), { atomic = random(4) == 1 }))
  same(assert(fs.readfile(path)), content(size), "a small file")
  assert(fs.writefile(path, content(100, size), { append = true }))
  assert(fs.stat(path, "size") == size + 100, "a file has another size")
  assert(fs.rename(path, path .. ".new"))
  assert(fs.remove(path .. ".new"))
end)

kind("places of a file", 8, function(place)
  local path = place .. "/places"
  local file = assert(fs.open(path, "w+"))
  for _ = 1, 4 do
    local at, size = random(100) * 251, random(BLOCK)
    assert(file:pwrite(content(size), at) == size)
    same(assert(file:pread(size, at)), content(size), "a place")
  end
  assert(file:truncate(10))
  assert(#assert(file:read "a") == 10)
  file:close()
  assert(fs.remove(path))
end)

kind("gathered writes and lines", 4, function(place)
  local path = place .. "/lines"
  local file = assert(fs.open(path, "w", { buffer = true }))
  for i = 1, 200 do
    assert(file:write(i, " ", content(i % 40):gsub("\n", "."), "\n"))
  end
  assert(file:close())
  local count = 0
  for line in fs.lines(path) do
    count = count + 1
    assert(tonumber(line:match "^%d+") == count, "a line is not where it was written")
  end
  assert(count == 200, "lines are missing")
  assert(fs.remove(path))
end)

kind("buffers", 4, function(place)
  local path = place .. "/buffers"
  assert(fs.writefile(path, content(BLOCK)))
  local buffer = halo.buffer(BLOCK)
  local file = assert(fs.open(path))
  assert(file:pread_into(buffer, BLOCK, 0) == BLOCK)
  same(buffer:string(), content(BLOCK), "a buffer")
  file:close()
  assert(fs.remove(path))
end)

kind("syncs", 1, function(place)
  local path = place .. "/synced"
  local file = assert(fs.create(path))
  assert(file:write(content(1000)))
  assert(file:fdatasync())
  assert(file:close())
  assert(fs.remove(path))
end)

kind("what is known of files", 8, function(place)
  local st = assert(fs.lstat(shared.tree))
  assert(st.is_dir and st:table().type == "dir")
  assert(fs.stat(shared.tree .. "/1/inner/3.txt", "size") == 300)
  assert(fs.exists(place) and not fs.exists(place .. "/nope"))
  assert(fs.realpath(place))
  assert(fs.symlink("nowhere", place .. "/link"))
  assert(fs.readlink(place .. "/link") == "nowhere")
  assert(fs.remove(place .. "/link"))
end)

kind("digests", 2, function()
  local path = shared.tree .. "/2/inner/8.txt"
  assert(fs.hash(path) == fs.hash(path))
  assert(#fs.hash(path, "sha256") == 64)
end)

kind("left to the collector", 2, function()
  assert(fs.open(shared.tree .. "/1/inner/1.txt"))
end)

-- Directories -------------------------------------------------------------------------------------

kind("walks", 3, function()
  local count = 0
  for _, entry in fs.walk(shared.tree, { stat = "size" }) do
    count = count + 1
    assert(entry.type == "dir" or entry.size % 100 == 0, "an entry has another size")
  end
  assert(count == shared.entries, "a walk has missed something")
end)

kind("walks left early", 2, function()
  for _ in fs.walk(shared.tree) do
    if random(4) == 1 then
      break
    end
  end
end)

kind("patterns", 2, function()
  assert(#fs.glob(shared.tree .. "/*/inner/[1-4].txt") == 24, "a glob has missed something")
  assert(#fs.readdir(shared.tree) == 6)
end)

kind("copies of trees", 1, function(place)
  local to = place .. "/copy"
  assert(fs.copytree(shared.tree .. "/3", to))
  same(assert(fs.readfile(to .. "/inner/7.txt")), content(700), "a copy")
  assert(fs.rmtree(to))
end)

kind("copies", 3, function(place)
  local path = place .. "/copied"
  assert(fs.copy(shared.tree .. "/1/inner/8.txt", path) == 800)
  same(assert(fs.readfile(path)), content(800), "a copy")
  assert(fs.remove(path))
end)

kind("watches", 2, function(place)
  local dir = place .. "/watched"
  assert(fs.mkdir(dir))
  local watch = fs.watch(dir, { recursive = random(2) == 1 })
  assert(fs.writefile(dir .. "/new", "x"))
  local event = assert(halo.timeout(LONG_S, watch.next, watch))
  assert(event.type == "create", "a watch has seen " .. event.type)
  watch:close()
  assert(fs.rmtree(dir))
end)

-- Streams -----------------------------------------------------------------------------------------

-- What is cancelled meanwhile loses no byte: the next read begins where the last one ended.
kind("streams", 4, function(place)
  local path, size = place .. "/fifo", 20000 + random(20000)
  posix.mkfifo(path)
  local stream = assert(fs.open(path, "r+"))
  halo.scope(function(scope)
    scope:spawn(function()
      local sent = 0
      while sent < size do
        local some = math.min(random(BLOCK), size - sent)
        assert(stream:write(content(some, sent)) == some)
        sent = sent + some
      end
    end)
    local seen = 0
    while seen < size do
      local data = halo.timeout(TINY_S, stream.read, stream, random(BLOCK))
      if data then
        same(data, content(#data, seen), "a stream")
        seen = seen + #data
      end
    end
  end)
  stream:close()
  assert(fs.remove(path))
end)

-- Tasks -------------------------------------------------------------------------------------------

kind("timeouts", 4, function()
  local data, _, code = halo.timeout(TINY_S, shared.silent.read, shared.silent, 10)
  assert(data == nil and code == "ETIMEDOUT", "silence was read")
end)

kind("cancels", 6, function(place)
  local tasks = {
    halo.spawn(fs.walk, shared.tree),
    halo.spawn(shared.silent.read, shared.silent, 10),
    halo.spawn(halo.sleep, LONG_S),
    halo.spawn(fs.writefile, place .. "/cancelled", content(BLOCK)),
  }
  if random(2) == 1 then
    halo.yield()
  end
  for _, task in ipairs(tasks) do
    task:cancel()
    pcall(task.join, task)
  end
  assert(fs.remove(place .. "/cancelled", { recursive = true, force = true }))
end)

kind("errors", 6, function(place)
  assert(select(3, fs.open(place .. "/nope")) == "ENOENT")
  assert(select(3, fs.mkdir(place)) == "EEXIST")
  assert(select(3, fs.readfile(place)) == "EISDIR")
  assert(not pcall(fs.lines, place .. "/nope"))
  assert(not pcall(fs.open))
  local task = halo.spawn(error, "a failure")
  assert(not pcall(task.join, task))
end)

kind("locks", 3, function()
  local file = assert(fs.open(shared.lock, "r+"))
  local locked, _, code = file:lock("exclusive", TINY_S)
  assert(locked or code == "ETIMEDOUT" or code == "EAGAIN", code)
  if locked then
    assert(not shared.held, "two hold a lock")
    shared.held = true
    halo.yield()
    shared.held = nil
    file:unlock()
  end
  file:close()
end)

kind("generators", 4, function()
  local function sizes()
    for i = 1, 8 do
      coroutine.yield(i, fs.stat(("%s/1/inner/%d.txt"):format(shared.tree, i), "size"))
    end
  end
  for i, size in coroutine.wrap(sizes) do
    assert(size == i * 100)
    if random(12) == 1 then
      break
    end
  end
end)

kind("scopes", 3, function()
  local sizes = halo.map({ 1, 2, 3, 4, 5, 6 }, function(i)
    return fs.stat(("%s/%d/inner/4.txt"):format(shared.tree, i), "size")
  end, 3)
  assert(#sizes == 6)
  halo.race { function() return fs.stat "/" end, function() halo.sleep(LONG_S) end }
  pcall(halo.scope, function(scope)
    scope:spawn(halo.sleep, LONG_S)
    scope:defer(halo.yield)
    error "a scope that fails"
  end)
end)

kind("channels", 3, function()
  local channel = halo.channel(2)
  local sum = 0
  halo.scope(function(scope)
    scope:spawn(function()
      for i = 1, 20 do
        channel:send(i)
      end
      channel:close()
    end)
    for value in channel do
      sum = sum + value
    end
  end)
  assert(sum == 210, "a channel has lost something")
  shared.semaphore:with(halo.yield)
end)

kind("where nothing yields", 1, function()
  table.sort({ 3, 1, 2 }, function(a, b) return fs.stat "/" and a < b end)
end)

return work
