-- The options that luajit has, standard input as a script, and the command's own commands.

local command = require "spec.support.command"
local denial = require "spec.support.denial"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

---A line that gives the command text on standard input.
local function fed(text, ...)
  return ("printf %%s %s | %s"):format(quote(text), command.halo(...))
end

describe("standard input that is no terminal", function()
  local dir = temp.dir()

  it("is a script", function()
    assert.same({ "42\t0\n", "", 0 }, { run(fed("print(42, select('#', ...))")) })
    assert.same({ "-\ta\tb\n", "", 0 }, { run(fed("print(arg[0], ...)", "-", "a", "b")) })
    assert.same({ "", "", 0 }, { run(command.halo()) })
  end)

  it("may be a file", function()
    local path = dir:file("script.lua", "#!/usr/bin/env halo\nprint(halo == nil, fs == nil)")
    assert.same({ "true\ttrue\n", "", 0 }, { run(command.halo() .. " <" .. quote(path)) })
  end)

  it("is left alone where there is something else to run", function()
    assert.same({ "1\nprint(2)\n", "", 0 }, { run(fed("print(2)", "-e",
      "print(1) print(io.read('*a'))")) })
    local stdout = run(fed("print 'ran'", "-v"))
    assert.not_matches("ran", stdout)
  end)

  for _, broken in ipairs {
    { "an unfinished string", "print('un", "halo: stdin:1: unfinished string near '<eof>'\n" },
    { "bytecode", "\27LJ\2", "halo: cannot load standard input: not allowed: "
      .. "it is bytecode (--allow-bytecode)\n" },
    { "binary", "\1\2\255\254", "halo: stdin:1: unexpected symbol near 'char(1)'\n" },
  } do
    it("may be " .. broken[1] .. ", which is told in a line", function()
      assert.same({ "", broken[3], 1 }, { run(fed(broken[2])) })
    end)
  end

  it("may be closed", function()
    assert.same({ "", "", 0 }, { run("sh -c " .. quote(command.halo() .. " <&-")) })
    assert.same({ "", "", 0 }, { run("sh -c " .. quote(command.halo("-e", "print(1)") .. " >&-")) })
  end)
end)

describe("the options of luajit", function()
  local dir = temp.dir()

  before_each(function()
    dir:file("module.lua", "print('module', ...) return {}")
    dir:file("init.lua", "print 'init file'")
    dir:file("script.lua", "print('script', ...)")
  end)

  for _, case in ipairs {
    { { "-l", "module", "-e", "print(1)" }, "module\tmodule\n1\n" },
    { { "-lmodule", "script.lua", "a" }, "module\tmodule\nscript\ta\n" },
    { { "-eprint(1)", "-e", "print(2)" }, "1\n2\n" },
    { { "-joff", "-e", "print((jit.status()))" }, "false\n" },
    { { "-j", "off", "-jon", "-e", "print((jit.status()))" }, "true\n" },
    { { "-jv=trace", "-e", "for _ = 1, 1000 do end", "-e", "print(fs.exists 'trace')" }, "true\n" },
    { { "-O0", "-e", "print((select(5, jit.status())))" }, "nil\n" },
    { { "-O", "-e", "print(1)" }, "1\n" },
    { { "-O3", "-Ohotloop=10,-fold", "-e", "print(1)" }, "1\n" },
    { { "script.lua", "-e", "x" }, "script\t-e\tx\n" },
    { { "--", "script.lua", "-v" }, "script\t-v\n" },
    { { "-e", "print(1)", "script.lua", "2" }, "1\nscript\t2\n" },
  } do
    it("are understood: " .. table.concat(case[1], " "), function()
      assert.same({ case[2], "", 0 }, { run("cd " .. quote(dir.root) .. "; "
        .. command.halo(unpack(case[1]))) })
    end)
  end

  it("profile, trace and list", function()
    local there = "cd " .. quote(dir.root) .. "; "
    dir:file("busy.lua", "local n = 0 for i = 1, 2e8 do n = n + i % 3 end")
    assert.matches("100%%", (run(there .. command.halo("-jp", "busy.lua"))))
    local _, stderr = run(there .. command.halo("-jv", "busy.lua"))
    assert.matches("TRACE +%d+ busy.lua:1 loop", stderr)
    assert.matches("KSHORT", (run(there .. command.halo("-bl", "-e", "print(1)"))))
    assert.matches("BYTECODE.*busy", (run(there .. command.halo("-bl", "busy.lua"))))
    assert.matches("-- TRACE", (run(there .. command.halo("-jdump=b", "busy.lua"))))
  end)

  it("save bytecode", function()
    local there = "cd " .. quote(dir.root) .. "; "
    assert.same({ "", "", 0 }, { run(there .. command.halo("-b", "script.lua", "out.raw")) })
    assert.equal("\27LJ", dir:read("out.raw"):sub(1, 3))
  end)

  it("look at the environment, unless -E is there", function()
    local there = "cd " .. quote(dir.root) .. "; export LUA_PATH=/x/?.lua LUA_INIT=@init.lua; "
    local code = "print(package.path == '/x/?.lua')"
    assert.equal("init file\ntrue\n", (run(there .. command.halo("-e", code))))
    assert.equal("false\n", (run(there .. command.halo("-E", "-e", code))))
    assert.equal("-E\n", (run("unset LUA_INIT; " .. command.halo("-e", "print(arg[-1])", "-E"))
      :gsub("^nil\n", "-E\n")))
    assert.equal("1\n", (run("LUA_INIT='print(1)' " .. command.halo("-e", ""))))
  end)

  for _, wrong in ipairs {
    { { "-l", "nope" }, "halo: module 'nope' not found:" },
    { { "-jnope", "-e", "" }, "halo: unknown LuaJIT command 'nope'" },
    { { "-Onope", "-e", "" }, "halo: unknown or malformed optimization flag 'nope'" },
  } do
    it("say what is wrong, and run nothing: " .. table.concat(wrong[1], " "), function()
      local stdout, stderr, status = run(command.halo(unpack(wrong[1])))
      assert.same({ "", 1 }, { stdout, status })
      assert.equal(wrong[2], stderr:sub(1, #wrong[2]))
      assert.not_matches("[halo]", stderr, 1, true)
    end)
  end
end)

describe("halo check", function()
  local dir = temp.dir()

  it("compiles and runs nothing", function()
    dir:file("good.lua", "print 'ran'")
    dir:file("bad.lua", "x = 1\nx = = 2")
    local there = "cd " .. quote(dir.root) .. "; "
    assert.same({ "", "", 0 }, { run(there .. command.halo("check", "good.lua", "good.lua")) })
    assert.same({ "", "halo: bad.lua:2: unexpected symbol near '='\n"
      .. "halo: cannot open nope.lua: No such file or directory\n", 1 },
      { run(there .. command.halo("check", "bad.lua", "good.lua", "nope.lua")) })
    assert.same({ "", "halo: stdin:1: unexpected symbol near '='\n", 1 },
      { run(fed("x = =", "check", "-")) })
    assert.equal(2, (select(3, run(command.halo("check")))))
  end)

  it("is meant whatever the directory has, and ./check is a script", function()
    dir:file("check", "print 'a script'")
    local there = "cd " .. quote(dir.root) .. "; "
    assert.equal(2, (select(3, run(there .. command.halo("check")))))
    assert.same({ "a script\n", "", 0 }, { run(there .. command.halo("./check")) })
  end)
end)

describe("halo doctor", function()
  it("says what there is", function()
    local stdout = run(command.halo("doctor"))
    for _, about in ipairs { "kernel", "io_uring", "engine", "operations", "limits", "versions",
      "compiler", "prompt", "directory", "mounts" } do
      assert.matches("\n?[o!][k!] " .. about .. " +%S", stdout)
    end
    assert.equal(2, (select(3, run(command.halo("doctor", "x")))))
  end)

  it("calls a kernel too old only where io_uring is not used", function()
    local old = "env -u HALO_ENGINE setarch --uname-2.6 " .. command.halo("doctor")
    local stdout = run(old)
    if not stdout:find "kernel +Linux 2%.6" then
      pending "the kernel's version cannot be disguised here"
      return
    end
    assert.equal(stdout:find "ok engine +ring" == nil, stdout:find "!! kernel" ~= nil)
    stdout = run((old:gsub(" setarch", " HALO_ENGINE=pool%0")))
    assert.matches("!! kernel .-5%.11", stdout)
  end)

  it("tells an ill with its cure", function()
    local stdout, _, status = run("ulimit -n 100; " .. command.halo("doctor"))
    assert.matches("!! limits +100 open files .-=> ulimit %-n 1024", stdout)
    assert.equal(1, status)
  end)

  for _, refusal in ipairs { "EPERM", "ENOSYS" } do
    it("tells why there is no io_uring: " .. refusal, function()
      local program, reason = denial.program()
      if not program then
        pending(reason)
        return
      end
      local line = "env -u HALO_ENGINE " .. quote(program, "setup", refusal)
      local stdout, _, status = run(line .. " " .. command.halo("doctor"))
      assert.matches("!! io_uring +io_uring: " .. refusal .. ": .-seccomp.-=> ", stdout)
      assert.matches("ok engine +pool", stdout)
      assert.equal(1, status)
    end)
  end
end)

describe("the manual page", function()
  local page = run(command.halo("--man")):gsub("\\([%-e])", { ["-"] = "-", e = "\\" })

  it("has what --help has", function()
    local help = run(command.halo("--help"))
    local count = 0
    for option, text in help:gmatch "\n  (%S.-)  +([^\n]+)" do
      count = count + 1
      local entry = "\n.B " .. option .. "\n" .. text:gsub("%.+$", "") .. "."
      assert.is_truthy(page:find(entry, 1, true), option)
    end
    assert.equal(25, count)
  end)

  it("has the prompt's commands, and the exit codes", function()
    for _, word in ipairs { ":help [name]", ":cancel N", "0", "1", "2", "130, 143, 129", "141" } do
      assert.is_truthy(page:find("\n.B " .. word .. "\n", 1, true), word)
    end
  end)

  it("is one that man takes without a warning", function()
    if not command.exists "man" then
      pending "there is no man(1)"
      return
    end
    local _, stderr = run(command.halo("--man") .. " | man --warnings -l - >/dev/null")
    assert.equal("", stderr)
  end)
end)
