local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

describe("fs.glob", function()
  local dir = temp.dir()

  local function glob(text, options)
    options = options or {}
    options.dir = dir.root
    return assert(fs.glob(text, options))
  end

  ---Checks what each of the patterns finds.
  local function finds(expected)
    for text, paths in pairs(expected) do
      assert.same(paths, glob(text), text)
    end
  end

  it("matches stars, question marks and sets in a name", function()
    tree.make(dir.root, { "a", "ab", "abc", "b", "b1", "B", "x-y", "]" })
    finds {
      ["*"] = { "B", "]", "a", "ab", "abc", "b", "b1", "x-y" },
      ["a*"] = { "a", "ab", "abc" },
      ["*b*"] = { "ab", "abc", "b", "b1" },
      ["**b"] = { "ab", "b" },
      ["?"] = { "B", "]", "a", "b" },
      ["a?"] = { "ab" },
      ["a??*"] = { "abc" },
      ["[ab]"] = { "a", "b" },
      ["[a-c]*"] = { "a", "ab", "abc", "b", "b1" },
      ["[!a-z]"] = { "B", "]" },
      ["[^a-z]"] = { "B", "]" },
      ["[]x]*"] = { "]", "x-y" },
      ["[!]]"] = { "B", "a", "b" },
      ["x[+-]y"] = { "x-y" },
      ["x[--.]y"] = { "x-y" },
      ["[z-a]"] = {},
      ["*c*c*"] = {},
      ["a*b*c"] = { "abc" },
    }
  end)

  it("takes the meaning off what follows a backslash", function()
    tree.make(dir.root, { "a*c", "abc", "[x]", "x", "a\\b", "{a,b}", "a", "b", "[" })
    finds {
      ["a\\*c"] = { "a*c" },
      ["\\[x\\]"] = { "[x]" },
      ["[[]x]"] = { "[x]" },
      ["a\\\\b"] = { "a\\b" },
      ["\\{a,b\\}"] = { "{a,b}" },
      ["\\{*"] = { "{a,b}" },
      ["[\\]\\[x]"] = { "[", "x" },
      ["["] = { "[" },
      ["[x"] = {},
    }
  end)

  it("tries each alternative in braces", function()
    tree.make(dir.root, { "a.c", "a.h", "a.lua", "b.c", "d/x", "e/y", "{z}", "{", "ab", "ac" })
    finds {
      ["*.{c,h}"] = { "a.c", "a.h", "b.c" },
      ["{a,b}.c"] = { "a.c", "b.c" },
      ["{d/x,e/*}"] = { "d/x", "e/y" },
      ["a.{c,{h,lua}}"] = { "a.c", "a.h", "a.lua" },
      ["a{b,,c}"] = { "ab", "ac" },
      ["{a,a}.c"] = { "a.c" },
      ["{z}"] = { "{z}" },
      ["{"] = { "{" },
      ["{d,e}/{x,y}"] = { "d/x", "e/y" },
    }
  end)

  it("matches hidden names only where the pattern names the dot", function()
    tree.make(dir.root, { ".a", "b", ".d/x", ".d/.y", "e/.z", "e/w" })
    finds {
      ["*"] = { "b", "e" },
      [".*"] = { ".a", ".d" },
      ["?a"] = {},
      ["[.]a"] = {},
      ["*/*"] = { "e/w" },
      ["*/.*"] = { "e/.z" },
      [".d/*"] = { ".d/x" },
      ["**"] = { "b", "e", "e/w" },
      ["**/.*"] = { ".a", ".d", "e/.z" },
    }
    assert.same({ ".a", ".d", ".d/.y", ".d/x", "b", "e", "e/.z", "e/w" },
      glob("**", { hidden = true }))
    assert.same({ ".d/x", "e/w" }, glob("*/[wx]", { hidden = true }))
  end)

  it("finds names in directories", function()
    tree.make(dir.root, { "a/1/x", "a/2/x", "b/1/y", "f" })
    finds {
      ["a/*"] = { "a/1", "a/2" },
      ["*/1/*"] = { "a/1/x", "b/1/y" },
      ["*/1"] = { "a/1", "b/1" },
      ["*/*/x"] = { "a/1/x", "a/2/x" },
      ["a//1///x"] = { "a/1/x" },
      ["./a/1"] = { "./a/1" },
      ["a/../b/*"] = { "a/../b/1" },
      ["f/*"] = {},
      ["*/x"] = {},
      ["none"] = {},
      ["none/*"] = {},
      [""] = {},
      ["a/1/x"] = { "a/1/x" },
    }
  end)

  it("asks for directories with a slash at the end", function()
    tree.make(dir.root, { "a/x", "f", "l -> a", "m -> f", "n -> nowhere", "a/s/" })
    finds {
      ["*/"] = { "a/", "l/" },
      ["a/"] = { "a/" },
      ["f/"] = {},
      ["**/"] = { "a/", "a/s/", "l/" },
      ["n/"] = {},
      ["n"] = { "n" },
    }
  end)

  it("goes through directories with two stars", function()
    tree.make(dir.root, { "x.c", "a/x.c", "a/b/x.c", "a/b/a/x.c", "a/b/a/y", "link -> a" })
    finds {
      ["**/x.c"] = { "a/b/a/x.c", "a/b/x.c", "a/x.c", "x.c" },
      ["a/**/x.c"] = { "a/b/a/x.c", "a/b/x.c", "a/x.c" },
      ["**/a/*.c"] = { "a/b/a/x.c", "a/x.c" },
      ["**/a/**/x.c"] = { "a/b/a/x.c", "a/b/x.c", "a/x.c" },
      ["**/**/y"] = { "a/b/a/y" },
      ["a/b/**"] = { "a/b/a", "a/b/a/x.c", "a/b/a/y", "a/b/x.c" },
      ["**"] = { "a", "a/b", "a/b/a", "a/b/a/x.c", "a/b/a/y", "a/b/x.c", "a/x.c", "link", "x.c" },
      ["link/**/y"] = { "link/b/a/y" },
      ["**/b"] = { "a/b" },
    }
  end)

  it("takes characters as they are written, in UTF-8 or not", function()
    tree.make(dir.root, { "ä", "äö", "a", "日本", "\255", "x\255" })
    finds {
      ["?"] = { "a", "ä", "\255" },
      ["??"] = { "x\255", "äö", "日本" },
      ["[ä]*"] = { "ä", "äö" },
      ["[à-ÿ]"] = { "ä" },
      ["[!a]"] = { "ä", "\255" },
      ["*本"] = { "日本" },
      ["x\255"] = { "x\255" },
      ["?\255"] = { "x\255" },
    }
  end)

  it("takes absolute patterns, and others from the working directory", function()
    assert.same({ "/" }, fs.glob "/")
    assert.same({ "/dev/null" }, fs.glob("/dev/nul[k-m]", { dir = dir.root }))
    assert.same({ "/dev/" }, fs.glob "//de[v]/")
    assert.same({ "core/halo.h" }, fs.glob "core/hal?.h")
    assert.same({ "./core/halo.h" }, fs.glob "./{core,none}/halo.h")
    assert.same({ "null" }, fs.glob("nul[l]", { dir = "/dev" }))
    assert.same({ "null" }, fs.glob("null", { dir = "/dev/" }))
  end)

  it("finds what the shell finds", function()
    if not command.exists "bash" then
      pending "there is no bash"
    end
    for _, text in ipairs { "*/*.h", "**/l*.h", "{sys,linux}/[a-c]*.h", "**/[!a-y]*" } do
      local stdout = command.run(("bash -c 'shopt -s globstar nullglob; cd /usr/include; "
        .. "LC_ALL=C printf \"%%s\\n\" %s'"):format(text))
      local expected = {}
      for path in stdout:gmatch "[^\n]+" do
        table.insert(expected, path)
      end
      table.sort(expected)
      assert.same(expected, fs.glob(text, { dir = "/usr/include" }), text)
    end
  end)

  it("does not let stars take for ever", function()
    dir:file(("a"):rep(250))
    assert.same({}, glob(("a*"):rep(60) .. "b"))
    assert.same({}, glob(("**/"):rep(20) .. "b"))
    assert.same({}, glob(("x"):rep(100000) .. "*"))
    assert.same({}, glob(("x"):rep(300)))
  end)

  it("leaves out what cannot be seen", function()
    if not command.exists "setpriv" then
      pending "there is no setpriv"
    end
    tree.make(dir.root, { "a/x", "b/x", "c/x" })
    command.run(("cd '%s' && chmod 755 . && chmod 0 b"):format(dir.root))
    local stdout = command.run("setpriv --reuid=65534 --regid=65534 --clear-groups "
      .. command.halo("-e", ("print(unpack(require 'halo'.fs.glob('*/*', { dir = '%s' })))")
        :format(dir.root)))
    assert.equal("a/x\tc/x\n", stdout)
  end)

  it("works where no task can wait", function()
    tree.make(dir.root, { "a/b/c" })
    local paths
    table.sort({ 1, 2 }, function(a, b)
      paths = paths or glob "**/c"
      return a < b
    end)
    assert.same({ "a/b/c" }, paths)
  end)

  it("takes a pattern and options", function()
    assert.misuse("bad argument #1 to 'glob' (path (a string) expected, got nil)",
      function() fs.glob() end)
    assert.misuse("bad argument #1 to 'glob' (the path contains a NUL byte)",
      function() fs.glob "a\0*" end)
    assert.misuse("bad argument #2 to 'glob' (table of options expected, got string)",
      function() fs.glob("*", "x") end)
    assert.misuse("bad argument #2 to 'glob' (path (a string) expected, got number)",
      function() fs.glob("*", { dir = 1 }) end)
    assert.misuse("bad argument #1 to 'glob' (more than 10000 alternatives)",
      function() fs.glob(("{a,b}"):rep(20)) end)
  end)

  it("goes as deep as there are directories", function()
    local name, at = ("x"):rep(200), assert(fs.at(dir.root))
    for _ = 1, 60 do
      assert(at:mkdir(name))
      local below = assert(at:at(name))
      at:close()
      at = below
    end
    at:create("deep.c"):close()
    at:symlink(".", "link")
    at:close()
    local below = (name .. "/"):rep(60)
    assert.same({ below .. "deep.c" }, fs.glob("**/*.c", { dir = dir.root }))
    assert.same({ dir:path(below .. "deep.c") }, fs.glob(dir:path "*/**/deep.c"))
    assert.same({ below .. "link/" }, fs.glob("**/link/", { dir = dir.root }))
    assert.same({ below .. "link/deep.c" }, fs.glob("**/lin[k]/*.c", { dir = dir.root }))
  end)

  it("closes all it has opened, however it ends", function()
    tree.make(dir.root, { "a/b/c/x", "a/link -> b", "d/link -> ../a", "d/e/" })
    local before = posix.count_descriptors()
    fs.glob("**/link/**/x", { dir = dir.root })
    fs.glob("**/link/", { dir = dir.root })
    assert(posix.count_descriptors() <= before) -- the collector may have closed some of before
    for _ = 1, 20 do
      local task = halo.spawn(fs.glob, "**/link/**/x", { dir = dir.root })
      halo.yield()
      task:cancel()
      pcall(task.join, task)
    end
    eventually("all is closed", function()
      return posix.count_descriptors() <= before
    end)
  end)
end)
