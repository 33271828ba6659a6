-- What a cancel or a timeout must not lose, nor leave: bytes of a stream or at a file's position,
-- the order of writes, locks, files that were opened or created, events of a watch.

local eventually = require "spec.support.eventually"
local halo = require "halo"
local posix = require "spec.support.posix"
local random = require "spec.support.random"
local slowness = require "spec.support.slowness"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"

local fs = halo.fs

local RECORDS = tasks.rounds(2000)
local RECORD_BYTES = 8
local TINY_S = 0.0007
local PATIENCE_S = 5 * slowness

local number

---Waits actively, so that what ends meanwhile meets what the loop does next.
---A read's end as "", which is told from one that was ended.
local function or_empty(data, message, code)
  if data == nil and not code then
    return ""
  end
  return data, message, code
end

local function spin(seconds)
  local deadline = halo.now() + seconds
  while halo.now() < deadline do end
end

---A function as under a timeout, under a cancel, or in peace, by chance. Returns what it does; nil
---where it was ended early.
local function disturbed(fn, ...)
  local way = number(3)
  if way == 1 then
    return halo.timeout(number(10) / 10 * TINY_S, fn, ...)
  elseif way == 2 then
    local task = halo.spawn(fn, ...)
    halo.sleep(number(10) / 10 * TINY_S)
    if number(2) == 1 then
      spin(number(10) * 1e-5)
    end
    task:cancel()
    local results = tasks.pack(pcall(task.join, task))
    if results[1] then
      return unpack(results, 2, results.n)
    end
    assert(halo.is_cancelled(results[2]), results[2])
    return nil
  end
  return fn(...)
end

describe("what a cancel must not lose #slow", function()
  local dir = temp.dir()

  before_each(function()
    number = random.new(random.seed "cancel")
  end)

  ---Numbered records, written at random times, some of them in several pieces.
  local function start_writer(writer, count)
    return halo.spawn(function()
      local i = 0
      while i < count do
        local batch = math.min(number(3), count - i)
        local texts = {}
        for k = 1, batch do
          texts[k] = ("%07d\n"):format(i + k)
        end
        local text = table.concat(texts)
        local cut = number(#text)
        assert(writer:write(text:sub(1, cut)) == cut)
        if cut < #text then
          if number(4) == 1 then
            halo.sleep(TINY_S * number(10) / 20)
          end
          assert(writer:write(text:sub(cut + 1)))
        end
        i = i + batch
        halo.sleep(TINY_S * number(10) / 10)
      end
      writer:close()
    end)
  end

  local function open_stream(kind)
    if kind == "FIFO" then
      local path = dir:fifo "fifo"
      local opening = halo.spawn(fs.open, path)
      local writer = assert(fs.open(path, "w"))
      return assert(opening:join()), writer
    end
    local reading, writing = posix.pipe()
    local reader = assert(fs.open("/proc/self/fd/" .. reading))
    local writer = assert(fs.open("/proc/self/fd/" .. writing, "w"))
    posix.close(reading)
    posix.close(writing)
    return reader, writer
  end

  -- Each reads a piece, and returns it; nil or "" at the end.
  local ways = {
    ["read"] = function(reader)
      return function() return or_empty(reader:read(number(2 * RECORD_BYTES))) end
    end,
    ["read_into"] = function(reader)
      return function()
        -- One of its own each time: that of one which was cancelled may still be lent.
        local buffer = halo.buffer(64)
        local count, message, code = reader:read_into(buffer, number(64))
        if not count then
          return nil, message, code
        end
        return buffer:string(0, count)
      end
    end,
    ["lines"] = function(reader)
      local next_line = reader:lines()
      return function()
        local line = next_line()
        return line and line .. "\n" or ""
      end
    end,
  }

  local function expected(count)
    local texts = {}
    for i = 1, count do
      texts[i] = ("%07d\n"):format(i)
    end
    return table.concat(texts)
  end

  ---Where two texts part, for a message that can be read.
  local function assert_same(wanted, got)
    if wanted ~= got then
      local at = 1
      while wanted:byte(at) == got:byte(at) do
        at = at + 1
      end
      error(("%d of %d bytes; at %d %q came for %q"):format(#got, #wanted, at,
        got:sub(at, at + 20), wanted:sub(at, at + 20)), 0)
    end
  end

  for _, kind in ipairs { "FIFO", "pipe" } do
    for name, way in pairs(ways) do
      it(("are bytes of a %s, by %s"):format(kind, name), function()
        local reader, writer = open_stream(kind)
        local writing = start_writer(writer, RECORDS)
        local read, pieces, disturbances = way(reader), {}, 0
        while true do
          local piece, _, code = disturbed(read)
          if piece == "" then
            break
          elseif piece then
            pieces[#pieces + 1] = piece
          else
            disturbances = disturbances + 1
            assert(code == nil or code == "ETIMEDOUT", code)
            if writing:status() == "ended" and disturbances > 100 * RECORDS then
              break
            end
          end
        end
        writing:join()
        reader:close()
        assert(disturbances > 0)
        assert_same(expected(RECORDS), table.concat(pieces))
      end)
    end
  end

  it("are bytes of a FIFO among several readers, of which some are cancelled", function()
    local reader, writer = open_stream "FIFO"
    local writing = start_writer(writer, RECORDS)
    local pieces = {}
    local function serve()
      while true do
        local piece = disturbed(function()
          local data = or_empty(reader:read(number(RECORD_BYTES)))
          pieces[#pieces + 1] = data
          return data
        end)
        if piece == "" then
          return
        end
      end
    end
    halo.map({ 1, 2, 3, 4 }, serve)
    writing:join()
    reader:close()
    -- Who was woken first need not have gone on first: all bytes are there, whatever their order.
    local wanted, got = {}, {}
    for _, each in ipairs { { wanted, expected(RECORDS) }, { got, table.concat(pieces) } } do
      for byte in each[2]:gmatch "." do
        each[1][byte] = (each[1][byte] or 0) + 1
      end
    end
    assert.same(wanted, got)
  end)

  it("are bytes that came for one who was cancelled, for those who wait behind", function()
    local reader, writer = open_stream "FIFO"
    for round = 1, tasks.rounds(300) do
      local first = halo.spawn(reader.read, reader, 4)
      local second = halo.spawn(reader.read, reader, 4)
      halo.yield()
      halo.yield()
      writer:write "abcdefgh"
      if round % 3 == 0 then
        halo.yield()
      elseif round % 3 == 1 then
        spin(number(10) * 2e-5)
      end
      first:cancel()
      local ok, data = pcall(first.join, first)
      local got = { ok and data or nil }
      got[#got + 1] = halo.timeout(PATIENCE_S, second.join, second)
      if not ok then
        got[#got + 1] = halo.timeout(PATIENCE_S, reader.read, reader, 4)
      end
      -- The second may have had its own already when the first was cancelled.
      table.sort(got)
      assert.same({ "abcd", "efgh" }, got)
    end
    reader:close()
    writer:close()
  end)

  it("is the place at a file's own position", function()
    local path = dir:file("file", expected(RECORDS))
    local file, pieces = assert(fs.open(path)), {}
    while true do
      local piece = disturbed(function()
        if number(3) == 1 then
          halo.yield()
        end
        return or_empty(file:read(number(100)))
      end)
      if piece == "" then
        break
      elseif piece then
        pieces[#pieces + 1] = piece
      end
    end
    file:close()
    assert_same(expected(RECORDS), table.concat(pieces))
  end)

  it("is a line of a file", function()
    local path = dir:file("file", expected(RECORDS))
    local file, lines = assert(fs.open(path)), {}
    local next_line = file:lines()
    while true do
      local ended = false
      local line = disturbed(function()
        if number(3) == 1 then
          halo.yield()
        end
        local line = next_line()
        ended = line == nil
        return line
      end)
      if ended then
        break
      elseif line then
        lines[#lines + 1] = line .. "\n"
      end
    end
    file:close()
    assert_same(expected(RECORDS), table.concat(lines))
  end)

  it("is a lock that is let go again", function()
    local path = dir:file "lock"
    local a, b, c = assert(fs.open(path, "r+")), assert(fs.open(path, "r+")),
      assert(fs.open(path, "r+"))
    for round = 1, tasks.rounds(200) do
      assert(a:lock("exclusive"))
      local task = halo.spawn(function() return b:lock("exclusive") end)
      halo.sleep(0.001)
      a:unlock()
      spin(2e-5 * (round % 100)) -- so that it may be granted before the loop looks
      task:cancel()
      local ok, err = pcall(task.join, task)
      if ok then
        b:unlock()
      else
        assert(halo.is_cancelled(err), err)
      end
      eventually("the lock that nobody got is free", function()
        return c:lock("exclusive", 0)
      end)
      c:unlock()
    end
    a:close()
    b:close()
    c:close()
  end)

  it("is a lock under a timeout", function()
    local path = dir:file "lock"
    local a, b, c = assert(fs.open(path, "r+")), assert(fs.open(path, "r+")),
      assert(fs.open(path, "r+"))
    for round = 1, tasks.rounds(100) do
      assert(a:lock("exclusive"))
      local releasing = halo.spawn(function()
        halo.sleep(0.004 + 1e-5 * round)
        a:unlock()
      end)
      local ok = halo.timeout(0.005, b.lock, b, "exclusive")
      releasing:join()
      if ok then
        b:unlock()
      end
      eventually("the lock is free", function()
        return c:lock("exclusive", 0)
      end)
      c:unlock()
    end
    a:close()
    b:close()
    c:close()
  end)

  it("is no file of an open, and no descriptor", function()
    local path = dir:file("file", "x")
    collectgarbage()
    collectgarbage()
    halo.yield()
    local before = posix.count_descriptors()
    local open_before = halo.stats().files_open
    collectgarbage "stop"
    local ok, problem = pcall(function()
      for i = 1, tasks.rounds(500) do
        local task = halo.spawn(fs.open, path)
        for _ = 1, number(3) - 1 do
          halo.yield()
        end
        if i % 2 == 0 then
          spin(number(10) * 1e-5)
        end
        task:cancel()
        local joined, file = pcall(task.join, task)
        if joined then
          file:close()
        end
      end
      -- The collector has no part in it.
      local deadline = halo.now() + 5
      while halo.stats().files_open > open_before and halo.now() < deadline do
        halo.sleep(0.001)
      end
    end)
    collectgarbage "restart"
    assert(ok, problem)
    assert.equal(open_before, halo.stats().files_open)
    assert(posix.count_descriptors() <= before) -- the collector may have closed some of before
  end)

  for mode, calls in pairs {
    wx = function(path) return fs.open(path, "wx") end,
    ["w+x"] = function(path) return fs.open(path, "w+x") end,
    ["CREAT and EXCL"] = function(path)
      return fs.open(path, fs.flags.RDWR + fs.flags.CREAT + fs.flags.EXCL)
    end,
  } do
    it("is no name that was made exclusively, by " .. mode, function()
      local made, ended = 0, 0
      for i = 1, tasks.rounds(500) do
        local path = dir:path("new" .. i)
        local task = halo.spawn(calls, path)
        for _ = 1, number(3) - 1 do
          halo.yield()
        end
        if i % 2 == 0 then
          spin(number(10) * 1e-5)
        end
        task:cancel()
        local ok, file = pcall(task.join, task)
        if ok then
          made = made + 1
          assert(file, "an exclusive open has failed")
          file:close()
          assert(posix.exists(path))
        else
          ended = ended + 1
        end
      end
      -- A worker may have yet to make it, and then to take it away.
      eventually("the names of what nobody got are gone", function()
        return halo.stats().in_flight == 0 and made == #fs.readdir(dir.root)
      end)
    end)
  end

  it("is what an open that was cancelled has found there already", function()
    -- Only what the open itself has made goes.
    for i = 1, tasks.rounds(100) do
      local path = dir:file("there" .. i, "content")
      for _, mode in ipairs { "wx", "a", "r+" } do
        local task = halo.spawn(fs.open, path, mode)
        if i % 2 == 0 then
          halo.yield()
        end
        task:cancel()
        local ok, file = pcall(task.join, task)
        if ok and file then
          file:close()
        end
      end
    end
    halo.sleep(0.05)
    for i = 1, tasks.rounds(100) do
      assert.equal("content", dir:read("there" .. i))
    end
  end)

  it("are events of a watch", function()
    local watch = fs.watch(dir.root)
    local count, seen = tasks.rounds(500), {}
    local making = halo.spawn(function()
      for i = 1, count do
        dir:file(("file%d"):format(i), "")
        halo.sleep(TINY_S * number(10) / 10)
      end
      dir:file("the-end", "")
    end)
    while true do
      local event = disturbed(watch.next, watch)
      if event and event.type == "create" then
        if event.name == "the-end" then
          break
        end
        seen[#seen + 1] = tonumber(event.name:match "%d+")
      end
    end
    making:join()
    watch:close()
    assert.equal(count, #seen)
    for i = 1, count do
      assert.equal(i, seen[i])
    end
  end)
end)
