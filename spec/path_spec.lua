-- halo.path: paths as texts.

local halo = require "halo"
local path = require "halo.path"
local command = require "spec.support.command"
local random = require "spec.support.random"
local temp = require "spec.support.temp"
require "spec.support.assertions"

describe("halo.path", function()
  local dir = temp.dir()

  for _, case in ipairs {
    { "join", { "a", "b" }, "a/b" },
    { "join", { "a/", "b", "", "c" }, "a/b/c" },
    { "join", { "a", "/b" }, "/b" },
    { "join", {}, "" },
    { "basename", { "/a/b.txt" }, "b.txt" },
    { "basename", { "/a/b.txt", ".txt" }, "b" },
    { "basename", { ".txt", ".txt" }, ".txt" },
    { "basename", { "/a/b//" }, "b" },
    { "basename", { "/" }, "/" },
    { "basename", { "" }, "" },
    { "dirname", { "/a/b" }, "/a" },
    { "dirname", { "/a" }, "/" },
    { "dirname", { "a" }, "." },
    { "dirname", { "a//b/" }, "a" },
    { "dirname", { "/" }, "/" },
    { "extension", { "a/b.tar.gz" }, ".gz" },
    { "extension", { "a/.profile" }, "" },
    { "extension", { "a..txt" }, ".txt" },
    { "extension", { "a...b...txt" }, ".txt" },
    { "extension", { "..a..txt" }, ".txt" },
    { "extension", { "...profile" }, "" },
    { "extension", { "a.b." }, "." },
    { "extension", { "a.." }, "." },
    { "extension", { "a" }, "" },
    { "extension", { "." }, "" },
    { "extension", { ".." }, "" },
    { "extension", { "..." }, "" },
    { "extension", { "/" }, "" },
    { "extension", { "" }, "" },
    { "extension", { 1.5 }, ".5" },
    { "join", { "a", 5, "b" }, "a/5/b" },
    { "basename", { 12 }, "12" },
    { "basename", { "a12", 2 }, "a1" },
    { "basename", { "a", "" }, "a" },
    { "dirname", { 12 }, "." },
    { "normalize", { 12 }, "12" },
    { "extension", { "a.b/c" }, "" },
    { "normalize", { "/a/./b/../c//d/" }, "/a/c/d" },
    { "normalize", { "../a/../../b" }, "../../b" },
    { "normalize", { "/.." }, "/" },
    { "normalize", { "a/.." }, "." },
    { "absolute", { "a/../b", "/x//y/" }, "/x/y/b" },
    { "absolute", { "../../../a", "/x/y" }, "/a" },
    { "absolute", { "/a/./b/..", "/x" }, "/a" },
    { "absolute", { "/a//" }, "/a" },
    { "absolute", { "", "/x" }, "/x" },
    { "absolute", { 12, "/" }, "/12" },
    { "relative", { "/a/b/c", "/a/d" }, "../b/c" },
    { "relative", { "/a/b/", "/a//./b" }, "." },
    { "relative", { "/a", "/a/b/c" }, "../.." },
    { "relative", { "/a/b", "/" }, "a/b" },
    { "relative", { "/", "/a/b" }, "../.." },
    { "relative", { "/", "/" }, "." },
    { "relative", { "/ab", "/a" }, "../ab" },
    { "relative", { "a/b", "." }, "a/b" },
    { "relative", { "a/b", "" }, "a/b" },
    { "relative", { "a/b", "a/c/../d" }, "../b" },
    { "relative", { "../a", "../b" }, "../a" },
    { "relative", { "../../a", ".." }, "../a" },
    { "relative", { "..", "a" }, "../.." },
    { "relative", { 1, 2 }, "../1" },
    { "is_absolute", { "/a" }, true },
    { "is_absolute", { "a" }, false },
    { "is_absolute", { 12 }, false },
  } do
    it(("says that %s of '%s' is '%s'"):format(case[1], table.concat(case[2], "', '"),
      tostring(case[3])), function()
      assert.equal(case[3], path[case[1]](unpack(case[2])))
    end)
  end

  for _, case in ipairs {
    { "join", 1, "nil", { n = 1 } },
    { "join", 2, "nil", { n = 3, "a", nil, "b" } },
    { "join", 3, "table", { n = 3, "a", "b", {} } },
    { "basename", 1, "nil", { n = 0 } },
    { "basename", 1, "boolean", { n = 1, false } },
    { "basename", 2, "table", { n = 2, "a", {} } },
    { "basename", 2, "boolean", { n = 2, "a", false } },
    { "dirname", 1, "table", { n = 1, {} } },
    { "extension", 1, "nil", { n = 0 } },
    { "normalize", 1, "userdata", { n = 1, io.stdout } },
    { "absolute", 1, "nil", { n = 0 } },
    { "absolute", 2, "boolean", { n = 2, "/a", false } },
    { "relative", 1, "table", { n = 2, {}, "a" } },
    { "relative", 2, "nil", { n = 1, "a" } },
    { "is_absolute", 1, "function", { n = 1, print } },
  } do
    local name, position, got, arguments = unpack(case)
    it(("refuses a %s as argument %d of %s, at the caller's line"):format(got, position, name),
      function()
        assert.misuse(("bad argument #%d to '%s' (path (a string) expected, got %s)"):format(
          position, name, got), function() path[name](unpack(arguments, 1, arguments.n)) end)
      end)
  end

  it("makes a path absolute from the working directory", function()
    assert.equal(halo.fs.cwd() .. "/a/b", path.absolute "a/./b")
    assert.equal(halo.fs.cwd(), path.absolute ".")
    assert.equal(1, select("#", path.absolute "a"))
  end)

  it("says so where there is no working directory", function()
    local gone = dir:path "gone"
    local stdout = command.run(("mkdir %s && cd %s && rmdir %s && %s"):format(gone, gone, gone,
      command.halo("-e", "print(require 'halo'.path.absolute 'a')")))
    assert.matches("^nil\tENOENT: no such file or directory[^\t]*\tENOENT\n$", stdout)
  end)

  it("leads from any directory to any path", function()
    local number = random.new(random.seed "path.relative")
    local function any(most)
      local parts = {}
      for i = 1, number(most) do
        parts[i] = ({ "a", "b", "..", ".", "" })[number(5)]
      end
      return table.concat(parts, "/")
    end
    for _ = 1, 1000 do
      local to, from = path.absolute(any(6), "/x/y"), path.absolute(any(6), "/x")
      assert.equal(to, path.absolute(path.relative(to, from), from))
    end
  end)

  it("refuses what the texts do not say", function()
    assert.misuse("bad argument #2 to 'absolute' (an absolute path expected)",
      function() path.absolute("a", "b") end)
    assert.misuse("bad argument #2 to 'absolute' (an absolute path expected)",
      function() path.absolute("/a", "b") end)
    for _, case in ipairs { { "/a", "b" }, { "a", "/b" } } do
      assert.misuse("bad argument #2 to 'relative' (one path is absolute and the other is not: "
        .. "path.absolute() makes them both so)",
        function() path.relative(case[1], case[2]) end)
    end
    for _, case in ipairs { { "a", ".." }, { "../a", "../../b" }, { ".", "a/../../b" } } do
      assert.misuse("bad argument #2 to 'relative' (the text does not say what to come back to "
        .. "from '..': path.absolute() makes both paths absolute)",
        function() path.relative(case[1], case[2]) end)
    end
  end)
end)
