-- The number of results is part of what a function promises: what a call has brought and nothing
-- behind it, so that it can be an argument or stand in a list; nil, message and code where it is
-- refused. (table.insert(t, fs.readfile(path)) raises where two nils follow.)

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local rows = require "spec.support.results_rows"
local temp = require "spec.support.temp"

local function pack(...)
  return { n = select("#", ...), ... }
end

local CALLBACK = "where it cannot yield"

---The ways to make a call, which differ in how its results come back.
local ways = {
  alone = function(call)
    return pack(call())
  end,
  ["in company"] = function(call)
    local others, over = {}, false
    for i = 1, 3 do
      others[i] = halo.spawn(function()
        while not over do
          halo.yield()
        end
      end)
    end
    local result = pack(pcall(call))
    over = true
    halo.all { function() for _, task in ipairs(others) do task:join() end end }
    assert(result[1], result[2])
    return { n = result.n - 1, unpack(result, 2, result.n) }
  end,
  [CALLBACK] = function(call)
    local result
    ("x"):gsub("x", function()
      result = pack(call())
    end)
    return result
  end,
}

local function assert_counted(count, result)
  assert.equal(count, result.n)
end

local function assert_refused(result)
  assert.is_nil(result[1])
  assert.equal("string", type(result[2]))
  assert.equal(result[3], result[2]:match "^%u[%u%d]*")
  assert.equal(3, result.n)
end

---What a call has opened.
local function close(value)
  local kind = type(value)
  if (kind == "userdata" or kind == "table") and pcall(function() return value.close end)
    and value.close then
    value:close()
  end
end

describe("the number of results", function()
  local dir = temp.dir()
  local away

  before_each(function()
    for _, name in ipairs { "dir", "full" } do
      assert(fs.mkdir(dir:path(name)))
    end
    dir:file("file", "some content")
    dir:file("full/x")
    dir:file("empty")
    dir:file("long_file", ("y"):rep(300000))
    dir:symlink("link", "file")
    dir:symlink("loop", "loop")
    dir:fifo("fifo")
    posix.mksocket(dir:path("socket"))
    away = "/dev/shm/halo-spec-" .. dir.root:match "[^/]*$"
  end)

  after_each(function()
    os.execute("rm -rf " .. command.quote(away))
  end)

  ---A row's argument as it is passed, a path below prefix.
  local function to_argument(value, prefix)
    if type(value) == "table" and value.text then
      return value.text
    elseif type(value) ~= "string" then
      return value
    end
    local names = { away = away, through = prefix .. "file/x", long = prefix .. ("n"):rep(256) }
    return names[value] or prefix .. value
  end

  local function to_arguments(list, prefix)
    local arguments = {}
    for i = 1, table.maxn(list) do
      arguments[i] = to_argument(list[i], prefix)
    end
    return arguments
  end

  local function needs_attributes(name)
    if not name:find "xattr" then
      return false
    end
    local _, _, code = fs.setxattr(dir:path("file"), "user.there", "x")
    return code == "EOPNOTSUPP"
  end

  ---A test of each way to make a row's calls.
  local function expand(prefix, row, with)
    for way, make in pairs(ways) do
      if not (row.alone and way == "in company" or row.tasks and way == CALLBACK) then
        it(("is promised by %s%s, %s"):format(prefix, row[1], way), function()
          if needs_attributes(row[1]) then
            pending "this file system has no extended attributes"
            return
          end
          with(row, make)
        end)
      end
    end
  end

  local function verify(row, make, call)
    local result = make(function()
      return call(row.ok)
    end)
    if result[1] == nil and result.n == 3 then
      error(result[2])
    end
    assert_counted(row.ok.count or 1, result)
    close(result[1])
    if row.raises then
      assert.is_false(pcall(call, row.no))
    elseif row.no then
      assert_refused(make(function()
        return call(row.no)
      end))
    end
  end

  for _, list in ipairs { rows.by_path, rows.fs } do
    for _, entry in ipairs(list) do
      expand("fs.", entry, function(row, make)
        verify(row, make, function(arguments)
          return fs[row[1]](unpack(to_arguments(arguments, dir.root .. "/")))
        end)
      end)
    end
  end

  for _, entry in ipairs(rows.by_path) do
    expand("Dir:", entry, function(row, make)
      local at = assert(fs.at(dir.root))
      verify(row, make, function(arguments)
        return at[row[1]](at, unpack(to_arguments(arguments, "")))
      end)
      at:close()
    end)
  end

  expand("Dir:", { "close" }, function(_, make)
    local at = assert(fs.at(dir.root))
    assert_counted(1, make(function() return at:close() end))
    assert_refused(make(function() return at:close() end))
  end)

  ---The same call of an open file, and of one that is closed.
  local function with_file(method)
    return function(row, make)
      local file = assert(fs.open(dir:path("file"), "r+"))
      local function call()
        local arguments = to_arguments(row.ok, "")
        return (method and file[method] or fs[row[1]])(file,
          unpack(arguments, 1, table.maxn(row.ok)))
      end
      local result = make(call)
      assert_counted(row.ok.count or 1, result)
      assert.equal(row.ok.ended or false, result[1] == nil)
      file:close()
      if not row.never then
        assert_refused(make(call))
      end
    end
  end

  for _, entry in ipairs(rows.file) do
    expand("fs.", entry, with_file())
    expand("File:", entry, with_file(entry[1]))
    if rows.method_names[entry[1]] then
      expand("File:" .. rows.method_names[entry[1]] .. ", ", entry,
        with_file(rows.method_names[entry[1]]))
    end
  end

  for _, entry in ipairs(rows.methods) do
    expand("File:", entry, with_file(entry[1]))
  end

  for _, entry in ipairs(rows.others) do
    entry.tasks = true
    expand("", entry, function(row, make)
      assert_counted(row.count or 1, make(row[2]))
      if row.no then
        assert_refused(make(row.no))
      end
    end)
  end

  it("is promised by halo.configure", function()
    local script = 'print(select("#", halo.configure { max_files = 99 }))'
    assert.same({ "1\n", "", 0 }, { command.run(command.halo("-e", script)) })
  end)

  it("is what lets a result be an argument", function()
    local list = {}
    for _, name in ipairs { "file", "empty", "long_file" } do
      table.insert(list, fs.readfile(dir:path(name)))
    end
    assert.equal(3, #list)
  end)

  it("has a row for every public function", function()
    local known = { ["halo.configure"] = true, ["Dir:close"] = true }
    local function add(prefix, list)
      for _, row in ipairs(list) do
        assert.is_truthy(row.never or row.no or list == rows.file, row[1])
        known[prefix .. row[1]] = true
      end
    end
    add("fs.", rows.by_path)
    add("Dir:", rows.by_path)
    add("fs.", rows.fs)
    add("fs.", rows.file)
    add("File:", rows.file)
    add("File:", rows.methods)
    add("", rows.others)
    for _, name in pairs(rows.method_names) do
      known["File:" .. name] = true
    end
    for prefix, module in pairs(rows.modules()) do
      for name, value in pairs(module) do
        if type(value) == "function" and not name:match "^_" then
          assert.is_true(known[prefix .. name], prefix .. name .. " has no row")
        end
      end
    end
  end)
end)
