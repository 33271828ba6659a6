-- A disk that becomes full in the middle of a call: what is told is what is there, a file that is
-- replaced as a whole keeps what it had, nothing is left behind, and the next call works.

local disk = require "spec.support.disk"
local halo = require "halo"
local command = require "spec.support.command"
local survived = require "spec.support.survived"

local fs = halo.fs
local run, quote = command.run, command.quote

local ROOM = 400000 -- bytes that are left
local SIZE = 1048576 -- of what is written

-- No part of it is like another, so that a piece in the wrong place is seen.
local function pattern(size)
  local lines = {}
  for i = 1, math.ceil(size / 16) do
    lines[i] = ("%15d\n"):format(i)
  end
  return table.concat(lines):sub(1, size)
end

local data = pattern(SIZE)
local old = "what there was"
local tried, lost = 0, 0

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read "*a"
  file:close()
  return content
end

---Asserts that a file has what a call was given, from the beginning up to somewhere.
local function assert_prefix(path, whole, from)
  local content = read(path)
  local got = content:sub((from or 0) + 1)
  assert.is_true(#got < #whole, "all of it is there")
  assert.is_true(got == whole:sub(1, #got), "what is there is not what was written")
  return #got
end

disk.each(function(place, kind)
  local path

  ---A test of a full disk; what it tries is counted.
  local function it_survives(what, test)
    it(what, function()
      if place.why_not then
        pending(place.why_not)
      end
      path = place.path .. "/file"
      tried, lost = tried + 1, lost + 1
      test()
      lost = lost - 1
    end)
  end

  ---Asserts that results are the refusal, about this path or pair of them.
  local function assert_full(about, ...)
    local value, message, code = ...
    assert.same({ nil, place.full .. ": " .. about, place.code }, { value, message, code })
    assert.equal(3, select("#", ...))
  end

  ---Asserts that a call which was refused works once there is room.
  local function assert_works(call, ...)
    place:clear()
    local value, message = call(...)
    assert.is_truthy(value, message)
  end

  for name, open in pairs {
    ["a string"] = function() return data end,
    ["an array"] = function()
      local pieces = {}
      for at = 1, #data, 10007 do
        pieces[#pieces + 1] = data:sub(at, at + 10006)
      end
      return pieces
    end,
    ["a buffer"] = function()
      local buffer = halo.buffer(#data)
      buffer:set(data)
      return buffer
    end,
  } do
    it_survives(name .. " is written as far as the position says, and the rest later", function()
      local file = assert(fs.open(path, "w"))
      place:leave(ROOM)
      assert_full(path, file:write(open()))
      local count = assert_prefix(path, data)
      assert.equal(count, file:tell())
      place:clear()
      assert.equal(#data - count, file:write(data:sub(count + 1)))
      assert.is_true(file:close())
      assert.is_true(read(path) == data)
    end)
  end

  it_survives("of many writes those are there that were told to be", function()
    local file, count = assert(fs.open(path, "w")), 0
    place:leave(ROOM)
    local answer
    repeat
      answer = { file:write(data:sub(count + 1, count + 777)) }
      count = count + (answer[1] or 0)
    until not answer[1]
    assert_full(path, unpack(answer, 1, 3))
    assert.is_true(count >= ROOM / 2, count)
    count = assert_prefix(path, data)
    assert.equal(count, file:tell())
    place:clear()
    assert.equal(#data - count, file:write(data:sub(count + 1)))
    assert.is_true(file:close())
    assert.is_true(read(path) == data)
  end)

  it_survives("a write at a place leaves the position", function()
    local file = assert(fs.open(path, "w"))
    file:write "0123456789"
    place:leave(ROOM)
    assert_full(path, file:pwrite(data, 10))
    assert.equal(10, file:tell())
    assert_prefix(path, data, 10)
    place:clear()
    assert.equal(#data, file:pwrite(data, 10))
    assert.is_true(file:close())
    assert.is_true(read(path) == "0123456789" .. data)
  end)

  it_survives("gathered writes tell it once and for all, by the close at the latest", function()
    for _, last in ipairs { "write", "flush", "fsync", "close" } do
      local file = assert(fs.open(path, "w", { buffer = SIZE * 2 }))
      file:write(data)
      place:leave(ROOM)
      if last == "write" then
        assert_full(path, file:write(data, "more"))
      elseif last ~= "close" then
        assert_full(path, file[last](file))
      end
      assert_full(path, file:close())
      assert_prefix(path, data)
      place:clear()
      assert.is_true(fs.remove(path))
    end
  end)

  it_survives("tasks that write at once each know what became of theirs", function()
    local files, full = {}, 0
    for i = 1, 16 do
      files[i] = assert(fs.open(place.path .. "/" .. i, "w"))
    end
    place:leave(ROOM)
    halo.map(files, function(file)
      local name, text = file:path(), data:sub(1, 100000)
      local count, _, code = file:write(text)
      if count then
        assert.equal(#text, count)
        assert.is_true(read(name) == text)
      else
        assert.equal(place.code, code)
        full = full + 1
        assert.equal(assert_prefix(name, text), file:tell())
      end
      assert.is_true(file:close())
    end)
    assert.is_true(full >= 16 - ROOM * 2 / 100000, full .. " of 16 found it full")
    assert_works(fs.writefile, path, data)
  end)

  it_survives("fs.writefile has written the beginning", function()
    place:leave(ROOM)
    assert_full(path, fs.writefile(path, data))
    assert_prefix(path, data)
    assert.equal("file", place:names())
    assert_works(fs.writefile, path, data:sub(1, 1000))
    assert.equal(1000, #read(path))
  end)

  it_survives("fs.writefile appends the beginning", function()
    assert(fs.writefile(path, old))
    place:leave(ROOM)
    assert_full(path, fs.writefile(path, data, { append = true }))
    assert.equal(old, read(path):sub(1, #old))
    assert_prefix(path, data, #old)
    assert_works(fs.writefile, path, "end", { append = true, sync = true })
    assert.equal("end", read(path):sub(-3))
  end)

  for _, options in ipairs { { atomic = true }, { atomic = true, sync = false },
    { atomic = true, exclusive = true }, { atomic = true, xattrs = true } } do
    local names = {}
    for name, value in pairs(options) do
      names[#names + 1] = name .. "=" .. tostring(value)
    end
    table.sort(names)

    it_survives("an atomic write leaves all as it was: " .. table.concat(names, " "), function()
      if not options.exclusive then
        assert(fs.writefile(path, old))
      end
      local before = place:names()
      place:leave(ROOM)
      assert_full(path, fs.writefile(path, data, options))
      assert.equal(before, place:names())
      if not options.exclusive then
        assert.equal(old, read(path))
      end
      assert_works(fs.writefile, path, data, options)
      assert.is_true(read(path) == data)
      assert.equal("file", place:names())
    end)
  end

  it_survives("an atomic write through a link that leads nowhere leaves all as it was", function()
    assert(fs.symlink("target", path))
    place:leave(ROOM)
    assert_full(path, fs.writefile(path, data, { atomic = true }))
    assert.equal("file", place:names())
  end)

  it_survives("fs.copy takes away what it made", function()
    local from = place.root .. "/original"
    assert(fs.writefile(from, data))
    for _, options in ipairs { {}, { mode = true, times = true, owner = true, xattrs = true } } do
      place:leave(ROOM)
      assert_full(from .. " -> " .. path, fs.copy(from, path, options))
      assert.equal("", place:names())
      assert_works(fs.copy, from, path, options)
      assert.is_true(read(path) == data)
      fs.remove(path)
    end
  end)

  it_survives("fs.copy within the file system takes away what it made", function()
    local from = place.path .. "/original"
    assert(fs.writefile(from, data))
    place:leave(ROOM)
    assert_full(from .. " -> " .. path, fs.copy(from, path, { reflink = false }))
    assert.equal("original", place:names())
    assert_works(fs.copy, from, path, { reflink = false })
    assert.is_true(read(path) == data)
  end)

  ---A tree of files that is as large as the data; a function that tells whether it is all there.
  local function make_tree(root)
    assert(fs.mkdir(root))
    for i = 1, 8 do
      assert(fs.mkdir(root .. "/" .. i))
      assert(fs.writefile(root .. "/" .. i .. "/x", data:sub(i, i + SIZE / 8)))
    end
    return function(at)
      for i = 1, 8 do
        assert.is_true(read(at .. "/" .. i .. "/x") == data:sub(i, i + SIZE / 8))
      end
    end
  end

  it_survives("fs.copytree takes away the files it was at, and leaves whole ones", function()
    local from = place.root .. "/tree"
    local check = make_tree(from)
    place:leave(ROOM)
    local ok, message, code = fs.copytree(from, path)
    assert.same({ nil, place.code }, { ok, code })
    assert.equal(place.full .. ": ", message:sub(1, #place.full + 2))
    local whole = 0
    for i = 1, 8 do
      local name = path .. "/" .. i .. "/x"
      if fs.exists(name) then
        whole = whole + 1
        assert.is_true(read(name) == data:sub(i, i + SIZE / 8), name)
      end
    end
    assert.is_true(whole < 8)
    assert.is_nil((place:names():match "%.halo"))
    assert_works(fs.copytree, from, path, { merge = true })
    check(path)
    assert(fs.rmtree(from))
  end)

  it_survives("fs.move of a tree leaves all as it was", function()
    local from = place.root .. "/tree"
    local check = make_tree(from)
    place:leave(ROOM)
    local ok, _, code = fs.move(from, path)
    assert.same({ nil, place.code }, { ok, code })
    assert.equal("", place:names())
    check(from)
    assert_works(fs.move, from, path)
    check(path)
    assert.is_false(fs.exists(from))
  end)

  it_survives("fs.move of a file leaves all as it was", function()
    local from = place.root .. "/original"
    assert(fs.writefile(from, data))
    assert(fs.writefile(path, old))
    place:leave(ROOM)
    assert_full(from .. " -> " .. path, fs.move(from, path))
    assert.equal("file", place:names())
    assert.equal(old, read(path))
    assert.is_true(read(from) == data)
    assert_works(fs.move, from, path)
    assert.is_true(read(path) == data)
  end)

  it_survives("room is not reserved in part, and a size without data takes none", function()
    local file = assert(fs.open(path, "w"))
    place:leave(ROOM)
    assert_full(path, file:fallocate(0, SIZE))
    assert.is_true(file:truncate(SIZE))
    assert.equal(SIZE, file:stat "size")
    assert_full(path, file:pwrite(data, 0))
    place:clear()
    assert.is_true(file:fallocate(0, SIZE))
    assert.is_true(file:close())
  end)

  it_survives("files without a name, and new ones, tell it", function()
    place:leave(ROOM)
    local file = assert(fs.tempfile(place.path))
    local _, _, code = file:write(data)
    assert.equal(place.code, code)
    assert.is_true(file:close())
    local name
    file, name = assert(fs.mkstemp(place.path .. "/newXXXXXX"))
    assert_full(name, file:write(data))
    assert.equal(assert_prefix(name, data), file:tell())
    assert.is_true(file:close())
    assert_works(fs.remove, name)
  end)

  it_survives("a script whose output goes there ends with a failure", function()
    place:leave(ROOM)
    local _, stderr, status = run(command.halo("-e", [[
      for i = 1, 100 do require("halo").stdout:write(("x"):rep(10485)) end
    ]]) .. " >" .. quote(path))
    assert.matches(place.code, stderr)
    assert.equal(1, status)
    assert.is_true(#read(path) < SIZE)
  end)

  teardown(function()
    survived.tell {
      name = (("disk_full_" .. kind):gsub(" ", "_")),
      kind = "a disk that becomes full within a call, " .. kind,
      tried = tried, unit = "calls", lost = lost,
      command = "make test SPEC=spec/disk_full_spec.lua",
    }
    tried, lost = 0, 0
  end)
end)
