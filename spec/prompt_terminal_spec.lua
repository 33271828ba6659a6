-- The prompt on a terminal: what is typed, and the keys that are no text.

local command = require "spec.support.command"
local temp = require "spec.support.temp"
local terminal = require "spec.support.terminal"

local holds_signals_back = (os.getenv "SANITIZE" or ""):find "thread"
  and "TSAN holds signals back while a program computes"

local CTRL_C, CTRL_D, TAB, UP, LEFT = "\3", "\4", "\t", "\27[A", "\27[D"

describe("the prompt on a terminal", function()
  local dir, process

  -- The terminal is as it was, however the prompt was left.
  after_each(function()
    if dir:has "settings.after" then
      assert.equal(dir:read "settings.before", dir:read "settings.after")
    end
  end)

  dir = temp.dir()

  if not terminal.is_available() then
    it("edits lines", function() pending "there is no script or no stty" end)
    return
  end

  local function start(options)
    options = options or {}
    options.environment = options.environment or ("%s XDG_STATE_HOME=%s NO_COLOR=1"):format(
      options.term and "TERM=" .. options.term or "TERM=xterm",
      command.quote(options.state or dir:path "state"))
    options.settings = dir:path "settings"
    process = terminal.start(command.halo("-i"), options)
    process:await "leaves.\r\n"
    process:await "> "
    return process
  end

  ---Types a line, and awaits what comes of it and the next prompt.
  local function enter(line, expected)
    process:type(line .. "\r")
    process:await("\r\n" .. expected .. "\r\n")
    process:await "> "
  end

  local function leave()
    process:type(CTRL_D)
    local stdout, stderr, status = process:finish()
    assert.equal(0, status, stderr .. stdout)
    return stdout
  end

  it("shows values", function()
    start()
    enter("1 + 1", "2")
    enter("'é', { 1 }", '"é"\t{ 1 }')
    leave()
  end)

  it("keeps a line's locals, and the latest value", function()
    start()
    process:type "local x, y = 5, 6\r"
    process:await "> "
    enter("x * y", "30")
    enter("_ + 1", "31")
    process:type "local function double(n) return 2 * n end\r"
    process:await "> "
    enter("double(x)", "10")
    leave()
  end)

  it("edits a line", function()
    start()
    enter("1 + 1" .. LEFT .. "4", "42")
    enter("12\1" .. "3\5" .. "4", "3124") -- to the start, and to the end
    leave()
  end)

  it("has the lines before, also in the next session", function()
    start()
    enter("100 + 11", "111")
    enter(" 5", "5") -- a blank in front keeps it out
    enter(UP, "111")
    leave()
    start()
    enter(UP, "111")
    leave()
    assert.equal("100 + 11\n100 + 11\n100 + 11\n", dir:read "state/halo/history")
  end)

  it("completes names and paths", function()
    dir:file("a-file", "its content")
    start()
    enter("type(fs.readfile_i" .. TAB .. "\8)", '"function"')
    enter(("fs.readfile('%s/a-f%s')"):format(dir.root, TAB), '"its content"')
    process:type("fs.read" .. TAB .. TAB)
    process:await "readlink"
    process:type(CTRL_C)
    process:await "> "
    leave()
  end)

  it("indents at a Tab where nothing stands before it, as in what is pasted", function()
    start()
    process:type "for i = 1, 2 do\r\tif i == 2 then\r\t\tprint(i * 21)\r\tend\rend\r"
    process:await "42\r\n> "
    leave()
  end)

  describe("takes what is pasted", function()
    local function paste(text)
      process:type("\27[200~" .. text:gsub("\n", "\r") .. "\27[201~")
    end

    it("as it is, and runs it at Enter, as one", function()
      start()
      paste "function f(a)\n\tif a then\n\t\treturn a .. '\t'\n\tend\nend\nlocal x = f\n  (7)\n"
      process:await "(7)\r\npaste>> "
      process:type "\r"
      process:await "stdin:7: ambiguous syntax"
      process:await "> "
      paste "local s = ('a\t')\n  :rep(2)\nprint(#s)\n"
      process:await "print(#s)\r\npaste>> "
      process:type "\r"
      process:await "4\r\n> "
      leave()
    end)

    it("in the middle of a line, where one line goes on being edited", function()
      start()
      process:type("#''" .. LEFT)
      paste "\t\t\t"
      process:type "\r"
      process:await "3\r\n> "
      process:type("{ }" .. LEFT)
      paste "1,\n\n2"
      process:await "paste>> 2"
      process:type "0\r"
      process:await "{ 1, 20 }\r\n> "
      paste "1 + 1\n"
      enter("", "2")
      leave()
    end)

    it("as pieces, where they are expressions and commands", function()
      start()
      paste "1 + 1\n:tasks\n\n{ 1,\n 3 }\nlocal y = 5\ny * 2"
      process:type "\r"
      process:await "2\r\nno tasks beside the prompt\r\n{ 1, 3 }\r\n10\r\n> "
      paste "'one'\nnope.x.y\n'three'"
      process:type "\r"
      process:await '"one"\r\nerror: stdin:2: attempt'
      process:await "> "
      paste "'one'\nlocal print = = y\n'three'"
      process:type "\r"
      process:await "error: stdin:2: unexpected symbol"
      process:await "> "
      enter("print == nil", "false") -- what has not run has declared nothing
      assert.falsy(leave():find('"three"', 1, true))
    end)

    it("and drops it at Ctrl-C, be its end lost", function()
      start()
      paste "print(1)\nprint(2)"
      process:await "paste>> print(2)"
      process:type(CTRL_C)
      process:await "^C\r\n> "
      process:type("\27[200~print(1)\r" .. CTRL_C)
      process:await "^C\r\n> "
      enter("3", "3")
      assert.equal("3\n", dir:read "state/halo/history")
      leave()
    end)

    it("in pieces, in great size, and where it is too long to be edited", function()
      start()
      local lines = { "return #{" }
      for i = 2, 4000 do lines[i] = "\t" .. i .. "," end
      local text = "\27[200~" .. table.concat(lines, "\r") .. "\r}\27[201~"
      for piece in text:gmatch "..?.?.?.?.?.?.?.?" do
        process:type(piece)
      end
      process:type "\r"
      process:await "3999\r\n> "
      paste("#\n'" .. ("x"):rep(50000) .. "'")
      process:type "\r"
      process:await "50000\r\n> "
      leave()
    end)

    it("without its control characters for the terminal", function()
      start()
      paste "#'\27]0;a title\7\127',\n2"
      process:type "\r"
      process:await "13\t2\r\n> "
      assert.falsy(leave():find("\27]", 1, true))
    end)

    it("only while it reads a line, and not on a terminal that knows no sequences", function()
      start()
      local on, off = "\27[?2004h", "\27[?2004l"
      process:await(on)
      process:type "io.read()\r"
      process:await("io.read()" .. off .. "\r\n")
      process:type "typed\r"
      process:await('"typed"\r\n> ' .. on)
      process:type(CTRL_C)
      process:await(off .. "^C\r\n")
      process:await("> " .. on)
      process:type(CTRL_D)
      process:await(off)
      assert.equal(0, (select(3, process:finish())))
      start { term = "dumb" }
      enter("1", "1")
      assert.falsy(leave():find("\27", 1, true))
    end)
  end)

  it("has several lines in the history as one", function()
    start()
    process:type "for i = 1, 2 do -- a comment\r"
    process:await "do>> "
    process:type "  print(i * 21)\r"
    process:await "do>> "
    process:type "end\r"
    process:await "21\r\n42\r\n> "
    process:type(UP .. "\r")
    process:await "21\r\n42\r\n> "
    process:type "#[[a\r"
    process:await "string>> "
    process:type "b]]\r"
    process:await "3\r\n> "
    assert.equal(("for i = 1, 2 do print(i * 21) end\n"):rep(2) .. "#[[a\nb]]\n",
      dir:read "state/halo/history")
    leave()
  end)

  it("takes Ctrl-C in its turn among what is typed at once", function()
    start()
    process:type("half a" .. CTRL_C .. "'whole'\r")
    process:await '^C\r\n'
    process:await '"whole"\r\n> '
    process:type("for i = 1, 2 do\r" .. CTRL_C .. "print 'on'\r")
    process:await "^C\r\n"
    process:await "on\r\n> "
    process:type("halo.sleep(100)\r'lost'\r" .. CTRL_C .. "'again'\r")
    process:await "interrupted\r\n"
    process:await '"again"\r\n> '
    local stdout = leave()
    assert.falsy(stdout:find('\n"lost"', 1, true))
  end)

  it("drops what was typed ahead at Ctrl-C", function()
    start()
    process:type "print 'go' halo.sleep(100)\r'lost'\r"
    process:await "go\r\n"
    process:type(CTRL_C)
    process:await "interrupted\r\n> "
    enter("1", "1")
    assert.falsy(leave():find('\n"lost"', 1, true))
  end)

  it("draws the line anew in a window of another size", function()
    start()
    process:type "_ = fs.readlink '/proc/self/fd/0' print(_)\r"
    process:await "/dev/pts/"
    process:await "\r\n"
    local name = process.seen:match "(/dev/pts/%d+)\r\n$"
    local function resize(columns)
      os.execute(("stty -F %s cols %d"):format(name, columns))
    end
    process:type("'" .. ("x"):rep(70)) -- 73 columns
    process:await(("x"):rep(70))
    resize(30)
    process:await "\27[2A\r\27[J> 'x"
    process:type "'\r"
    process:await("\r\n\"" .. ("x"):rep(70) .. '"\r\n> ')
    process:type("'日本" .. ("x"):rep(22) .. "語" .. LEFT)
    process:await "語"
    resize(29) -- the last character fits no more
    process:await "\27[1A\r\27[J> '日本"
    resize(200)
    process:await "\r\27[J> '日本"
    process:type(CTRL_C)
    process:await "^C\r\n> "
    process:type "{ ('y'):rep(90), 1 }\r"
    process:await "y\", 1 }\r\n> " -- in one line, as the window is wide now
    resize(80)
    leave()
  end)

  it("prints what ends after it has been left", function()
    start()
    process:type(("halo.spawn(function() halo.scope(function(scope) "
      .. "scope:defer(function() %s end) halo.sleep(100) end) end)\r"):format(
      "print 'one' io.write 'two\\n' io.stderr:write 'three\\n' halo.stdout:write 'four\\n'"))
    process:await "\r\n> "
    process:type(CTRL_D)
    process:await "> "
    process:type(CTRL_D)
    process:await "one\r\ntwo\r\nthree\r\nfour\r\n"
    local _, _, status = process:finish()
    assert.equal(0, status)
  end)

  it("leaves in order after a Ctrl-C while it printed", function()
    start()
    process:type "for i = 1, 1e7 do print(i) end\r"
    process:await "1000\r\n"
    process:type(CTRL_C)
    process:await "interrupted\r\n> "
    process:type "os.exit(7)\r"
    local stdout, _, status = process:finish()
    assert.equal(7, status, stdout:sub(-500))
    assert.falsy(stdout:find("written in whole", 1, true))
  end)

  it("says what is open", function()
    start()
    process:type "for i = 1, 2 do\r"
    process:await "do>> "
    process:type "print(({\r"
    process:await "{>> "
    process:type "i})[1]) end\r"
    process:await "1\r\n2\r\n> "
    leave()
  end)

  it("drops what is typed at Ctrl-C, and goes on however often", function()
    start()
    for typed, seen in pairs {
      ["half a li"] = "half a li",
      ["fs.read" .. TAB .. TAB] = "readlink",
      ["for i = 1, 2 do\rpri"] = "pri",
      ["if x then\r"] = "then>> ",
    } do
      process:type(typed)
      process:await(seen)
      process:type(CTRL_C)
      process:await "^C\r\n> "
    end
    enter("1", "1")
    leave()
  end)

  it("leaves at the second Ctrl-C at an empty prompt", function()
    start()
    process:type(CTRL_C)
    process:await "^C\r\n(Ctrl-C again, or Ctrl-D, leaves)\r\n> "
    enter("1", "1")
    process:type(CTRL_C)
    process:await "leaves)\r\n> "
    process:type(CTRL_C)
    process:await "^C\r\n" -- before the input ends, which leaves as well
    local _, _, status = process:finish()
    assert.equal(130, status)
  end)

  for what, line in pairs {
    ["a sleep"] = "halo.sleep(100)",
    ["a read of a FIFO"] = "fs.readfile('%s/fifo')",
    ["a loop that computes"] = "while true do end",
    ["a join"] = "halo.spawn(halo.sleep, 100):join()",
  } do
    it("ends " .. what .. " at Ctrl-C, and nothing else", function()
      if holds_signals_back and line:find "while" then
        return pending(holds_signals_back)
      end
      dir:fifo "fifo"
      start()
      process:type "x = 7\r"
      process:await "> "
      process:type(line:gsub("%%s", dir.root) .. "\r")
      process:await "\r\n"
      process:type(CTRL_C)
      process:await "interrupted\r\n> "
      enter("x", "7")
      process:type ":quit\r"
      local _, _, status = process:finish()
      assert.equal(0, status)
    end)
  end

  it("lets other tasks print above the line that is being typed", function()
    start()
    process:type "halo.spawn(function() halo.sleep(0.2) print 'a line' io.write('part') "
    process:type "halo.stdout:write 'by halo\\n' error 'oh' end) _ = nil\r"
    process:await "> "
    process:type "1 + "
    process:await "a line\r\n"
    process:await "> 1 + "
    process:await "part\r\n"
    process:await "> 1 + "
    process:await "by halo\r\n"
    process:await "> 1 + "
    process:await "failed: stdin:1: oh"
    process:await "> 1 + "
    enter("1", "2")
    process:type(CTRL_D)
    local _, _, status = process:finish()
    assert.equal(1, status) -- a task has failed
  end)

  it("asks once before it ends tasks", function()
    start()
    process:type "task = halo.spawn(halo.sleep, 100)\r"
    process:await "> "
    process:type(CTRL_D)
    process:await "s for sleep"
    process:await "> "
    process:type(CTRL_D)
    local _, _, status = process:finish()
    assert.equal(0, status)
  end)

  it("takes a line that is too long to be edited", function()
    start()
    process:type("#'" .. ("x"):rep(100000) .. "'\r")
    process:await "100000\r\n> "
    leave()
  end)

  it("takes many lines at once", function()
    start()
    local lines = {}
    for i = 1, 2000 do lines[i] = "x = " .. i .. "\r" end
    process:type(table.concat(lines))
    process:type "'sum', x\r"
    process:await '"sum"\t2000\r\n> '
    leave()
  end)

  it("works on a narrow terminal, and a dumb one", function()
    start { columns = 20 }
    enter("'a line that is longer than twenty columns' .. '!'",
      '"a line that is longer than twenty columns!"')
    leave()
    start { term = "dumb" }
    enter("1 + 2", "3")
    leave()
  end)

  it("takes a megabyte in lines #slow", function()
    start { patience_s = 120 }
    for i = 1, 200 do
      process:type(("x = '%s'\ry = %d\r"):format(("z"):rep(5000), i))
      if i % 20 == 0 then
        process:type "#x, y\r"
        process:await(("5000\t%d\r\n> "):format(i))
      end
    end
    leave()
  end)

  it("edits characters of several bytes", function()
    start()
    enter("'éü'" .. LEFT .. LEFT .. "\8a", '"aü"')
    enter("#'日本'" .. LEFT .. "\8", "3")
    leave()
  end)

  it("edits on a narrow terminal, with others printing", function()
    start { columns = 20 }
    process:type "task = halo.spawn(function() halo.sleep(0.2) print 'printed' end)\r"
    process:await "> "
    process:type "'a line of more than twenty columns'"
    process:await "printed\r\n"
    process:await "> 'a line"
    process:type(".. '!'\r")
    process:await '"a line of more than twenty columns!"\r\n'
    leave()
  end)

  for what, environment in pairs {
    ["no TERM"] = "-u TERM", ["an empty TERM"] = "TERM=",
    ["a TERM that nobody knows"] = "TERM=nope",
  } do
    it("works with " .. what, function()
      start { environment = environment .. " NO_COLOR=1 XDG_STATE_HOME=" .. dir:path "state" }
      enter("6 * 7", "42")
      process:type "half"
      process:await "half"
      process:type(CTRL_C)
      process:await "^C\r\n> "
      enter("1", "1")
      leave()
    end)
  end

  it("says once that the history cannot be kept", function()
    start { state = "/proc/nope" }
    process:type "1\r"
    process:await "the history cannot be kept: ENOENT"
    process:await "1\r\n> "
    enter("2", "2")
    local _, count = leave():gsub("cannot be kept", "")
    assert.equal(1, count)
  end)

  it("tells unfinished strings, and passes over what is no text", function()
    start()
    process:type "'abc\r"
    process:await "error: stdin:1: unfinished string near '<eof>'\r\n> "
    process:type "[[abc\r"
    process:await "string>> "
    process:type(CTRL_C)
    process:await "^C\r\n> "
    process:type "\255\254\1\2\r"
    process:await "> "
    enter("1", "1")
    leave()
  end)

  it("says how to get help and how to leave", function()
    start()
    enter("help", ":help says what there is, help(fs.open) what that does")
    enter("quit", "quit() or :quit leaves, as Ctrl-D does")
    enter("exit", "exit() or :quit leaves, as Ctrl-D does")
    process:type "help(fs.readfile)\r"
    process:await "fs.readfile(path"
    process:await "> "
    process:type "help()\r"
    process:await ":quit"
    process:await "> "
    process:type "exit(3)\r"
    assert.equal(3, (select(3, process:finish())))
  end)

  for signal, status in pairs { TERM = 143, HUP = 129, QUIT = 131 } do
    for what, line in pairs {
      ["while a line is typed"] = "half a li", ["while a line waits"] = "halo.sleep(100)\r",
      ["while a line computes"] = "print 'go' while true do end\r",
    } do
      it(("leaves the terminal in order at SIG%s %s"):format(signal, what), function()
        if holds_signals_back and what:find "computes" then
          return pending(holds_signals_back)
        end
        start()
        process:type "fs.readlink '/proc/self'\r"
        process:await '"\r\n> '
        local pid = process.seen:match '"(%d+)"\r\n> $'
        process:type(line)
        process:await(line:gsub("\r", ""))
        if what:find "computes" then
          process:await "go\r\n" -- it has begun
        end
        os.execute(("kill -%s %s"):format(signal, pid))
        assert.equal(status, (select(3, process:finish())))
      end)
    end
  end

  it("stops at Ctrl-Z, with the terminal in order, and goes on", function()
    local line = ("%s; stty -a >%s; echo stopped; fg"):format(command.halo("-i"),
      command.quote(dir:path "stopped"))
    process = terminal.start(command.quote("sh", "-mc", line), {
      environment = "TERM=xterm NO_COLOR=1 XDG_STATE_HOME=" .. dir:path "state",
      settings = dir:path "settings",
    })
    process:await "leaves.\r\n> "
    process:type "1 + "
    process:await "1 + "
    process:type "\26"
    process:await "stopped\r\n"
    assert.equal(dir:read "settings.before", dir:read "stopped")
    process:await "> 1 + "
    process:type "2\r"
    process:await "3\r\n> "
    leave()
  end)

  it("has commands", function()
    start()
    process:type ":help readfile\r"
    process:await "fs.readfile(path"
    process:await "> "
    process:type ":time 1 + 1\r"
    process:await "operations\r\n2\r\n> "
    process:type ":nope\r"
    process:await "no command ':nope'"
    process:await "> "
    leave()
  end)
end)
