-- What `make install` gives: the examples for hosts are built against it by pkg-config, as a
-- program of somebody else's would be.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local PATIENCE_S = 120

---Why it cannot be tried here.
local function unavailable()
  if os.getenv "HALO_ENGINE" ~= "auto" then
    return "one engine's run is enough"
  elseif (os.getenv "SANITIZE" or "") ~= "" then
    return "programs of others are not instrumented"
  elseif not command.exists "make" or not command.exists "pkg-config" then
    return "make or pkg-config is not there"
  elseif command.build_dir:match "([^/]*)$" ~= "build" then
    return "only the plain build is installed"
  end
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return lines
end

---The functions that a header declares.
local function declared_in(...)
  local names = {}
  for _, path in ipairs { ... } do
    local file = assert(io.open(path))
    local text = file:read("*a"):gsub("/%*.-%*/", ""):gsub("#[^\n]*", "")
    file:close()
    for declaration in text:gmatch "HALO_API%s(.-);" do
      names[#names + 1] = declaration:match "([%w_]+)%s*%("
    end
  end
  table.sort(names)
  return names
end

describe("make install", function()
  local dir = temp.dir()
  local why_not = unavailable()

  local function make(target, more)
    local line = ("env -u MAKEFLAGS -u MAKELEVEL make %s %s"):format(target, more)
    local stdout, stderr, status = run(line, PATIENCE_S)
    assert.same(0, status, stdout .. stderr)
  end

  local function installed()
    local prefix = dir:path "usr"
    make("install", "PREFIX=" .. quote(prefix))
    return prefix
  end

  local function it_does(what, fn)
    it(what, function()
      if why_not then
        return pending(why_not)
      end
      fn()
    end)
  end

  ---Builds a file of examples/ against what was installed: these packages, or halo.
  local function build(prefix, compiler, file, packages)
    local program = dir:path "program"
    local environment = "PKG_CONFIG_PATH=" .. quote(prefix .. "/lib/pkgconfig")
    local flags, _, found = run(environment .. " pkg-config --cflags --libs "
      .. (packages or "halo"))
    assert.equal(0, found)
    local _, stderr, status = run(("%s -pthread -o %s examples/%s %s -Wl,-rpath,%s/lib"):format(
      compiler, quote(program), file, flags:gsub("%s+$", ""), prefix), PATIENCE_S)
    assert.equal("", stderr)
    assert.equal(0, status)
    return program
  end

  it_does("gives what a host in C is built from", function()
    local program = build(installed(), "gcc -D_GNU_SOURCE= -Wall", "host.c")
    local script = dir:file("script.lua", "print(require('halo').fs.exists('/'))")
    local stdout, stderr, status = run(quote(program, script))
    assert.matches("^true\nhost: %d+ frames\n$", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it_does("gives what a host in C++ is built from", function()
    if not command.exists "g++" then
      return pending "g++ is not installed"
    end
    local program = build(installed(), "g++ -std=c++11 -Wall", "workers.cpp")
    local script = dir:file("script.lua",
      "print(unpack(require('halo').map({ 10, 100, 1000 }, primes)))")
    assert.same({ "4\t25\t168\n", "", 0 }, { run(quote(program, script)) })
  end)

  it_does("gives what a program without Lua is built from", function()
    local program = build(installed(), "gcc -D_GNU_SOURCE= -Wall", "copy.c", "halo-core")
    assert.equal("", (run("ldd " .. quote(program) .. " | grep -i lua")))
    local to = dir:path "to"
    for _, size in ipairs { 0, 1, 262144, 5000001 } do
      local text = ("0123456789abcdefg"):rep(math.ceil(size / 17)):sub(1, size)
      local from = dir:file("from", text)
      assert.same({ size .. " bytes\n", "", 0 }, { run(quote(program, from, to)) })
      assert.equal("", (run("cmp " .. quote(from, to))))
    end
    assert.same({ "", "copy: No such file or directory\n", 1 },
      { run(quote(program, dir:path "none", to)) })
  end)

  it_does("gives what a host with libuv's loop is built from", function()
    local _, _, missing = run "pkg-config --exists libuv"
    if missing ~= 0 then
      return pending "libuv is not installed"
    end
    local program = build(installed(), "gcc -D_GNU_SOURCE= -Wall", "uv.c", "halo libuv")
    local script = dir:file("script.lua", [[
      local halo = require "halo"
      halo.spawn(function() halo.sleep(0.25) print "slept" end)
      for _ = 1, 20 do halo.sleep(0.001) end
      local file = halo.fs.create("]] .. dir:path "file" .. [[")
      print(file:write(("x"):rep(1e6)), file:fsync(), file:close())
    ]])
    local stdout, stderr, status = run(quote(program, script))
    assert.matches("^1000000\ttrue\ttrue\nslept\nuv: %d+ ticks\n$", stdout)
    assert.same({ "", 0 }, { stderr, status })
    dir:file("script.lua", "local h = require 'halo' h.channel():recv()")
    stdout, stderr, status = run(quote(program, script))
    assert.matches("^uv: deadlock: .*\n\ttask %d+ waits in channel at ", stderr)
    assert.same({ "uv: 0 ticks\n", 1 }, { stdout, status })
  end)

  it_does("gives what a host that limits its scripts is built from", function()
    local program = build(installed(), "gcc -D_GNU_SOURCE= -Wall", "untrusted.c")
    local cases = {
      ["print(fs.readfile(root .. '/file'), io, os, debug, jit, fs.exists(root .. '/x'))"] = "",
      ["assert(fs.readdir '/')"] = "not allowed to read: /",
      ["assert(fs.writefile(root .. '/file', ''))"] = "not allowed to write: ",
      ["assert(halo.process.run { 'true' })"] = "not allowed to start programs: true",
      ["require 'ffi'"] = "module 'ffi' not found",
      ["local ok = pcall(function() while true do end end) print(ok)"] = "held the loop for more",
      ["while true do pcall(halo.sleep, 100) end"] = "the time in all is over",
      ["local s = 'x' while true do s = s .. s end"] = "not enough memory",
      ["for i = 1, 200 do halo.spawn(halo.sleep, 1) end"] = "too many tasks: 100 are alive",
      ["halo.buffer(1e9)"] = "a number from 0 to 8388608 expected",
      ["halo.buffer(1):ptr()"] = "script.lua:1: ptr: there is no ffi here",
    }
    run("mkdir -p " .. quote(dir:path "root"))
    dir:file("root/file", "plain")
    local given = ("local root = %q local halo = require 'halo' local fs = halo.fs "):format(
      dir:path "root")
    for code, expected in pairs(cases) do
      local script = dir:file("script.lua", given .. code)
      local stdout, stderr, status = run(quote(program, dir:path "root", script))
      if expected == "" then
        assert.same({ "plain\tnil\tnil\tnil\tnil\tfalse\n", "", 0 }, { stdout, stderr, status })
      else
        assert.is_truthy(stderr:find(expected, 1, true), code .. ": " .. stderr)
        assert.same({ "", 1 }, { stdout, status })
      end
    end
  end)

  it_does("gives the module, the command and its manual page", function()
    local prefix = installed()
    assert.same({ "0.1.0\n", "", 0 }, { run(("LUA_CPATH='%s/lib/lua/5.1/?.so' luajit -e %s"):format(
      prefix, quote "print((select(4, require('halo').engine())))")) })
    assert.same({ "1\n", "", 0 }, { run(quote(prefix .. "/bin/halo", "-e", "print(1)")) })
    local page = io.open(prefix .. "/share/man/man1/halo.1")
    assert.truthy(page)
    page:close()
  end)

  it_does("exports what the headers declare, and nothing else", function()
    local prefix = installed()
    local core = declared_in "core/halo.h"
    local all = declared_in("core/halo.h", "bindings/halo_lua.h")
    for library, names in pairs { ["libhalo-core"] = core, libhalo = all } do
      local symbols = run(("nm -D --defined-only %s/lib/%s.so | awk '$2 != \"A\" { print $3 }'")
        :format(prefix, library))
      assert.same(names, lines_of((symbols:gsub("@@[%w_]+", ""))))
    end
  end)

  it_does("is undone by make uninstall, also below DESTDIR", function()
    local where = ("PREFIX=/usr DESTDIR=%s"):format(quote(dir:path "root"))
    make("install", where)
    make("uninstall", where)
    assert.equal("", (run("find " .. quote(dir:path "root") .. " ! -type d")))
  end)
end)
