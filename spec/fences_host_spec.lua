-- The fence that a host gives a Lua state, and the libraries that it takes away.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local host, no_host = host_program.build "fenced_host"

describe("a host's fence", function()
  local dir = temp.dir()

  local function host_says(removed, code, ro, more)
    dir:file("script.lua", "local halo = require 'halo' local fs = halo.fs " .. code)
    run(("cd %s; mkdir ro rw; echo plain >ro/file"):format(quote(dir.root)))
    return run(quote(host, ro or dir:path "ro", dir:path "rw", removed .. (more or ""),
      dir:path "script.lua", dir.root))
  end

  local function it_does(what, removed, code, expected)
    it(what, function()
      if not host then
        return pending(no_host)
      end
      local stdout, stderr = host_says(removed, code)
      assert.equal("", stderr)
      assert.equal(expected, stdout)
    end)
  end

  it_does("says which right is lacking", "", [[
    local dir = ...
    print(fs.readfile(dir .. "/ro/file"), fs.writefile(dir .. "/rw/a", "x"))
    print((select(2, fs.readfile "/etc/passwd")))
    print((select(2, fs.remove(dir .. "/ro/file")):gsub("/%S*/ro", "DIR/ro")))
    print((select(2, halo.process.run { "true" })))]],
    "plain\n\ttrue\nEACCES: not allowed to read: /etc/passwd\n"
    .. "EACCES: not allowed to write: DIR/ro/file\n"
    .. "EACCES: not allowed to start programs: true\n")

  for word, code in pairs {
    ffi = "pcall(require, 'ffi'), package.loaded.ffi, package.preload.ffi",
    loadlib = "package.loadlib, package.cpath ~= '' or nil, package.loaders[3]",
    loadfile = "loadfile, dofile, package.searchpath, package.loaders[4]",
    bytecode = "load '\\27LJ\\2', string.dump, loadstring '\\27LJ\\2', load('\\27LJ\\2', 'x', 'b')",
    io = "io, package.loaded.io, pcall(require, 'io')",
    os = "os, package.loaded.os",
    debug = "debug, package.loaded.debug",
    jit = "jit, package.loaded['jit.util']",
    exec = "os.execute, io.popen",
    internals = "package.loaded['halo.core'], package.preload['halo.fs'], "
      .. "package.loaded['halo.wait']",
  } do
    it_does("goes with " .. word .. " taken away", word, ([[
      local function test(...)
        for i = 1, select("#", ...) do
          local value = select(i, ...)
          if value and type(value) ~= "string" then return print("still there", value) end
        end
        print "gone"
      end
      test(%s)
      print(fs.readfile((...) .. "/ro/file"), fs.glob((...) .. "/ro/*")[1] ~= nil)
    ]]):format(code), "gone\nplain\n\ttrue\n")
  end

  -- What halo itself needs of a library it has by then.
  for _, words in ipairs { "io", "os", "debug", "ffi", "jit", "loadfile", "io os debug jit ffi",
    "internals", "all" } do
    it("leaves halo's own modules as they are with taken away: " .. words, function()
      if not host then
        return pending(no_host)
      end
      local stdout, stderr = host_says(words, [[
        local lfs, rw = require "halo.lfs", (...) .. "/rw"
        print(lfs.attributes(rw, "mode"), (pcall(lfs.attributes)))
        print(halo.process.run { "echo", "ran" }, halo.process.run { "true", stdout = "inherit" })
        print(fs.writefile(rw .. "/a", "line\n"), fs.lines(rw .. "/a")(), #fs.glob(rw .. "/a"))
        print(fs.mkdir(rw .. "/b"), fs.copytree(rw .. "/b", rw .. "/c"), fs.rmtree(rw .. "/c"))
        print(type(require("halo.io").install()), pcall(halo.scope, function() error("x", 0) end))
        print(select("#", pcall(halo.buffer(1).ptr, halo.buffer(1))))]], nil, "+x")
      assert.equal("", stderr)
      assert.equal("directory\tfalse\nran\n\t\t0\ntrue\tline\t1\ntrue\ttrue\ttrue\n"
        .. "boolean\tfalse\tx\n2\n", stdout)
    end)
  end

  it_does("goes with all taken away", "all", [[
    print(fs.stat((...) .. "/ro/file", "size"), fs.writefile((...) .. "/rw/a", "x"))]], "6\ttrue\n")

  it("lets programs run that it is told to, with nothing as their input", function()
    if not host then
      return pending(no_host)
    end
    local stdout, stderr = host_says("all", [[
      print(halo.process.run { "cat" }, halo.process.run { "echo", "ran", stderr = "null" })
      print(fs.open "/dev/null")]], nil, "+x")
    assert.equal("", stderr)
    assert.equal("\tran\n\t0\nnil\tEACCES: not allowed to read: /dev/null\tEACCES\n", stdout)
  end)

  it("is refused for a path that is not there, and a word that is none", function()
    if not host then
      return pending(no_host)
    end
    local _, stderr, status = host_says("all", "", dir:path "none")
    assert.equal(1, status)
    assert.is_truthy(stderr:find "^cannot allow .*/none: No such file or directory")
    _, stderr, status = host_says("ffi more", "")
    assert.equal(1, status)
    assert.is_truthy(stderr:find "^no library 'more' to remove")
  end)
end)
