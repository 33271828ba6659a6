-- require, dofile and loadfile, which halo has written anew so that what they load may wait: they
-- are as those of plain luajit, but for bytecode and for what several tasks load at once.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"
local tasks = require "spec.support.tasks"

local start = tasks.start

local CODE = string.dump(loadstring "return 'bytecode'")

local FILES = {
  ["false.lua"] = "n = (n or 0) + 1 return false",
  ["nothing.lua"] = "n = (n or 0) + 1",
  ["sets_false.lua"] = "n = (n or 0) + 1 package.loaded[...] = false",
  ["sets.lua"] = "package.loaded[...] = 'set'",
  ["sets_and_returns.lua"] = "package.loaded[...] = 'set' return 'returned'",
  ["sees.lua"] = "return not package.loaded[...]",
  ["itself.lua"] = "require 'itself'",
  ["itself_early.lua"] = "local m = {} package.loaded[...] = m m.same = require(...) == m return m",
  ["fails.lua"] = "n = (n or 0) + 1 error 'boom'",
  ["fails_with_table.lua"] = "error {}",
  ["syntax.lua"] = "syntax error here",
  ["unfinished.lua"] = "local function f() return f()",
  ["12"] = "return 'twelve', ...",
  ["12.lua"] = "return 'module twelve', ...",
  ["args.lua"] = "return select('#', ...), ...",
  ["command.lua"] = "#!/usr/bin/luajit\nreturn debug.getinfo(1, 'l').currentline",
  ["command_fails.lua"] = "#!/usr/bin/luajit\nerror 'line 2'",
  ["comment.lua"] = "# nothing else",
  ["empty.lua"] = "",
  ["marked.lua"] = "\239\187\191return 'byte order mark'",
  ["marked_command.lua"] = "\239\187\191#!/usr/bin/luajit\nreturn 2",
  ["code.lua"] = CODE,
  ["command_code.lua"] = "#!/usr/bin/luajit\n" .. CODE,
  ["global.lua"] = "n = 'global'",
}

---Expressions; each is returned as it is (a tail call), and over a variable.
local EXPRESSIONS = {
  "require 'false', require 'false', n, package.loaded['false']",
  "require 'nothing', require 'nothing', n, package.loaded.nothing",
  "require 'sets_false', require 'sets_false', n, package.loaded.sets_false",
  "require 'sets', package.loaded.sets",
  "require 'sets_and_returns', package.loaded.sets_and_returns",
  "require 'sees'",
  "require 'itself'",
  "require('itself_early').same",
  "require 'fails'",
  "pcall(require, 'fails'), pcall(require, 'fails'), n",
  "pcall(require, 'fails'), require 'fails'",
  "require 'fails_with_table'",
  "require 'syntax'",
  "pcall(require, 'syntax'), pcall(require, 'syntax')",
  "require 'unfinished'",
  "require 'nope'",
  "require 'no.pe'",
  "require ''",
  "require 'dir'",
  "require 'marked'",
  "require 'command'",
  "require 'empty'",
  "require('args', 1, 2)",
  "require(12), package.loaded['12'], package.loaded[12]",
  "require(1.5)",
  "require()",
  "require(nil)",
  "require {}",
  "require(print)",
  "require(true)",
  "dofile '12'",
  "dofile(12)",
  "dofile(13)",
  "dofile('args.lua', 1, 2)",
  "dofile 'empty.lua'",
  "dofile 'comment.lua'",
  "dofile 'command.lua'",
  "dofile 'command_fails.lua'",
  "dofile 'command_code.lua'",
  "dofile 'marked.lua'",
  "dofile 'marked_command.lua'",
  "dofile 'nope.lua'",
  "dofile ''",
  "dofile 'dir.lua'",
  "dofile '/dev/null/nope'",
  "dofile 'syntax.lua'",
  "dofile 'fails.lua'",
  "dofile 'fails_with_table.lua'",
  "dofile 'unfinished.lua'",
  "dofile {}",
  "dofile(false)",
  "dofile(print)",
  "loadfile 'nope.lua'",
  "loadfile(12)",
  "loadfile(13)",
  "loadfile 'dir.lua'",
  "loadfile 'syntax.lua'",
  "loadfile 'unfinished.lua'",
  "loadfile 'command_code.lua'",
  "loadfile('command_code.lua', 'b')",
  "loadfile {}",
  "loadfile(false)",
  "loadfile(true, 't')",
  "loadfile('args.lua')(1, 2)",
  "loadfile('args.lua', 't')(1)",
  "loadfile('args.lua', 'bt')(1)",
  "loadfile('args.lua', 'b')",
  "loadfile('args.lua', '')",
  "loadfile('args.lua', 'x')",
  "loadfile('args.lua', 5)",
  "loadfile('args.lua', {})",
  "loadfile('args.lua', false)",
  "loadfile('code.lua', 'b')()",
  "loadfile('code.lua', 'bt')()",
  "loadfile('code.lua', 't')",
  "select('#', loadfile 'args.lua')",
  "select('#', loadfile 'nope.lua')",
  "select('#', loadfile 'syntax.lua')",
  "pcall(loadfile('global.lua', 't', {})), n",
  "pcall(loadfile('global.lua', nil, {})), n",
  "pcall(loadfile('global.lua', 't', nil)), n",
  "pcall(loadfile('global.lua', 't', 5)), n",
  "getfenv(loadfile('args.lua', 't', nil)) == _G",
  "(function(r) r {} end)(require)",
  "(function(t) t.load(print) end) { load = loadfile }",
}

---Statements that change something before they require.
local STATEMENTS = {
  "package.loaded.x = false return require 'x'",
  "package.loaded.x = 5 return require 'x'",
  "package.loaded = {} return require 'string' == string",
  "package.preload.x = function(...) return ... end return require 'x'",
  "package.preload.x = function() n = n and 2 or 1 return false end return require 'x', n",
  "package.preload.x = function() return require 'x' end return require 'x'",
  "package.loaders = nil return require 'x'",
  "package.loaders = {} return require 'x'",
  "package.loaders[1] = 5 return require 'x'",
  "package.loaders[1] = {} return require 'x'",
  "package.loaders[1] = function() error 'in the loader' end return require 'x'",
  "package.loaders[1] = function() error {} end return require 'x'",
  "package.loaders[1] = function(x) return function(...) return x, ... end end return require 'x'",
  "package.loaders[1] = function(x) return '\\n\\tmine: ' .. x end return require 'x'",
  "package.loaders[1] = function() return 7 end return require 'x'",
  "package.loaders[1] = function() return {} end return require 'x'",
  "package.path = nil return require 'x'",
  "package.path = {} return require 'x'",
  "package.path = 5 return require 'x'",
  "package.path = '' return require 'x'",
  "package.path = '?;;./?.lua' return require 'nothing'",
  "local package_ = package package = nil return require 'nothing', package_.loaded.nothing",
  "debug = nil return pcall(require, {})",
}

---Runs each case of arg[1] in a state of its own as far as packages go.
local PROGRAM = [[
  local package_, debug_, loaded, loaders, path = package, debug, package.loaded, package.loaders,
    package.path
  local kept, standard = {}, { unpack(loaders) }
  for name in pairs(loaded) do
    kept[name] = true
  end
  local function restore()
    package, debug, n, m = package_, debug_, nil, nil
    package.loaded, package.loaders, package.path = loaded, loaders, path
    for name in pairs(loaded) do
      loaded[name] = kept[name] and loaded[name] or nil
    end
    for i = 1, 9 do
      loaders[i] = standard[i]
    end
    package.preload.x = nil
  end
  local function show(...)
    local shown = {}
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      shown[i] = type(value) == "string" and ("%q"):format(value):gsub("\n", "n")
        or type(value) == "number" and tostring(value) or type(value)
    end
    return table.concat(shown, " ")
  end
  for code in io.lines "cases" do
    local chunk = assert(loadstring(code, "=case"))
    local function run(...)
      restore()
      return show(...)
    end
    io.write(run(pcall(chunk)), "\n")
  end
]]

describe("require, dofile and loadfile are as those of plain luajit:", function()
  local dir = temp.dir()
  local cases, expected, got = {}, {}, {}
  for _, expression in ipairs(EXPRESSIONS) do
    table.insert(cases, "return " .. expression)
    table.insert(cases, "local a, b, c, d = " .. expression .. " return a, b, c, d")
  end
  for _, statement in ipairs(STATEMENTS) do
    table.insert(cases, statement)
    table.insert(cases,
      (statement:gsub("^(.*) return (.-)$", "%1 local a, b, c = %2 return a, b, c")))
  end

  local function run_with(program, lines)
    local line = ("cd %s; unset LUA_PATH LUA_CPATH; %s program"):format(dir.root, program)
    local stdout, stderr, status = command.run(line)
    assert.same({ "", 0 }, { stderr, status })
    for outcome in stdout:gmatch "[^\n]+" do
      table.insert(lines, outcome)
    end
    assert.equal(#cases, #lines)
  end

  before_each(function()
    if #got > 0 then
      return
    end
    for name, text in pairs(FILES) do
      dir:file(name, text)
    end
    assert(halo.fs.mkdir(dir:path "dir.lua"))
    dir:file("cases", table.concat(cases, "\n"))
    dir:file("program", PROGRAM)
    run_with("luajit", expected)
    run_with(command.halo_bin .. " --allow-bytecode", got)
  end)

  for i, case in ipairs(cases) do
    it(case, function()
      assert.equal(expected[i], got[i])
    end)
  end
end)

describe("bytecode", function()
  local dir = temp.dir()
  local not_allowed = "not allowed: it is bytecode (--allow-bytecode)"
  local refused = "cannot load %s: " .. not_allowed
  local refused_by_mode = "cannot load %s: it is bytecode, which only loadfile(path, 'b') loads"

  before_each(function()
    dir:file("code.lua", CODE)
  end)

  ---What halo says, run beside the bytecode.
  local function halo_says(line)
    return command.run(("cd %s; %s"):format(dir.root, line))
  end

  it("is not run by dofile, loadfile or require", function()
    local stdout = halo_says(command.halo("-e", [[
      print(pcall(dofile, "code.lua"))
      print(loadfile "code.lua")
      print(select(2, pcall(require, "code")))
    ]]))
    assert.equal(("false\t%s\nnil\t%s\n"
      .. "error loading module 'code' from file './code.lua':\n\t%s\n"):format(
      refused:format "code.lua", refused:format "code.lua", refused:format "./code.lua"), stdout)
  end)

  it("is not run as a script, from standard input, or by -e", function()
    local _, stderr, status = halo_says(command.halo "code.lua")
    assert.same({ "halo: " .. refused:format "code.lua" .. "\n", 1 }, { stderr, status })
    _, stderr, status = halo_says("cat code.lua | " .. command.halo "-")
    assert.same({ "halo: " .. refused:format "standard input" .. "\n", 1 }, { stderr, status })
    -- An argument ends at its first NUL, so that the least that is seen as bytecode has to do.
    _, stderr, status = halo_says(command.halo("-e", "\27LJ"))
    assert.same({ "halo: attempt to load chunk with wrong mode\n", 1 }, { stderr, status })
  end)

  it("is loaded by nothing, whatever the mode says", function()
    local stdout = halo_says(command.halo("-e", [[
      local code = string.dump(function() return "bytecode" end)
      local pieces = { code:sub(1, 5), code:sub(6) }
      for _, mode in ipairs { "b", "bt" } do
        print(loadfile("code.lua", mode))
        print(load(code, "name", mode))
        print(loadstring(code, "name", mode))
      end
      print(load(code))
      print(loadstring(code))
      print(load(function() return table.remove(pieces, 1) end))
      package.loaders[2] = nil
      print(pcall(require, "halo.loader"))
      require("halo.loader").install(true)
      print(load(code))
    ]]))
    assert.is_nil(stdout:find "function: ")
    local _, count = stdout:gsub("nil\t[^\n]*" .. not_allowed:gsub("[%(%)%-]", "%%%0") .. "\n", "")
    assert.equal(10, count)
  end)

  it("is loaded with --allow-bytecode where the mode asks for it", function()
    local expected = "bytecode\nbytecode\nbytecode\nnil\t%s\n"
    local line = command.halo("--allow-bytecode", "-e", [[
      print(loadfile("code.lua", "b")())
      print(loadfile("code.lua", "bt")())
      print(load(string.dump(loadfile("code.lua", "b")))())
      print(loadfile("code.lua"))
    ]])
    assert.equal(expected:format(refused_by_mode:format "code.lua"), (halo_says(line)))
  end)

  it("leaves load as it is for text", function()
    assert.equal("1\t2\n3\nfalse\t(command line):3: bad argument #1 to 'loadstring' "
      .. "(function expected, got no value)\nnil\t[string \"x =\"]:1: "
      .. "unexpected symbol near '<eof>'\nname\n", (halo_says(command.halo("-e", [[
      print(load("return 1, ...")(2))
      print(load("return a", "name", "t", { a = 3 })())
      print(pcall(function() local f = loadstring() return f end))
      print(loadstring "x =")
      print(debug.getinfo(load("return", "@name"), "S").short_src)
    ]]))))
  end)
end)

describe("a module that several tasks require at once", function()
  local loads, gate

  before_each(function()
    loads, gate = 0, halo.channel()
    package.loaded["spec.slow"] = nil
    package.preload["spec.slow"] = function(name)
      loads = loads + 1
      local early = {}
      package.loaded[name] = early
      local value = gate:recv()
      if value == "error" then
        error({ "failed" }, 0)
      elseif value == "false" then
        return false
      end
      early.value = value
    end
  end)

  after_each(function()
    package.loaded["spec.slow"], package.preload["spec.slow"] = nil, nil
  end)

  local function require_slow()
    return require "spec.slow"
  end

  ---Three tasks of which the first loads the module, and is about to go on.
  local function three()
    local list = {}
    for i = 1, 3 do
      list[i] = start(require_slow)
    end
    return list
  end

  it("is loaded once, and complete for each", function()
    local list = three()
    gate:send "done"
    for _, task in ipairs(list) do
      assert.equal("done", task:join().value)
    end
    assert.equal(1, loads)
  end)

  it("is false for each, and loaded again by the next", function()
    local list = three()
    gate:send "false"
    for _, task in ipairs(list) do
      assert.is_false(task:join())
    end
    assert.equal(1, loads)
    local task = start(require_slow)
    gate:send "done"
    task:join()
    assert.equal(2, loads)
  end)

  it("fails for each with the same error", function()
    local list, failure = three(), nil
    gate:send "error"
    for _, task in ipairs(list) do
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      failure = failure or err
      assert.equal("failed", err[1])
      assert.equal(failure, err)
    end
    assert.equal(1, loads)
  end)

  it("is loaded by another where the first is cancelled", function()
    local list = three()
    list[1]:cancel()
    assert.is_true(tasks.ends_cancelled(list[1]))
    halo.yield()
    gate:send "done"
    assert.equal("done", list[2]:join().value)
    assert.equal("done", list[3]:join().value)
    assert.equal(2, loads)
  end)

  it("is no matter to one that is cancelled while it waits", function()
    local list = three()
    list[2]:cancel()
    assert.is_true(tasks.ends_cancelled(list[2]))
    gate:send "done"
    assert.equal("done", list[1]:join().value)
    assert.equal("done", list[3]:join().value)
    assert.equal(1, loads)
  end)

  it("is told as a loop where two wait for each other", function()
    for i = 1, 2 do
      package.preload["spec.loop" .. i] = function()
        halo.yield()
        return require("spec.loop" .. 3 - i)
      end
    end
    local list = { start(require, "spec.loop1"), start(require, "spec.loop2") }
    for _, task in ipairs(list) do
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.matches("loop or previous error loading module 'spec.loop%d'", err)
    end
    for i = 1, 2 do
      package.loaded["spec.loop" .. i], package.preload["spec.loop" .. i] = nil, nil
    end
  end)
end)
