-- The prompt on a terminal: what is typed, and the keys that are no text.

local command = require "spec.support.command"
local prompt = require "spec.support.prompt"
local temp = require "spec.support.temp"
local terminal = require "spec.support.terminal"

local holds_signals_back = (os.getenv "SANITIZE" or ""):find "thread"
  and "TSAN holds signals back while a program computes"

local CTRL_C, CTRL_D, TAB, UP, LEFT = "\3", "\4", "\t", "\27[A", "\27[D"

describe("the prompt on a terminal", function()
  local dir, process

  after_each(function() prompt.check_terminal(dir) end)

  dir = temp.dir()

  if not terminal.is_available() then
    it("edits lines", function() pending "there is no script or no stty" end)
    return
  end

  local function start(options)
    process = prompt.start(dir, options)
    return process
  end

  local function enter(...) prompt.enter(process, ...) end
  local function leave() return prompt.leave(process) end

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
    process:type((":load %s/a-f%s.\r"):format(dir.root, TAB))
    process:await "a-file.: No such file"
    process:await "> "
    process:type("fs.read" .. TAB .. TAB)
    process:await "readlink"
    process:type(CTRL_C)
    process:await "^C\r\n> "
    leave()
  end)

  it("indents at a Tab where nothing stands before it, as in what is pasted", function()
    start()
    process:type "for i = 1, 2 do\r\tif i == 2 then\r\t\tprint(i * 21)\r\tend\rend\r"
    process:await "42\r\n> "
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
    process:await '"a line of more than twenty columns!"\r\n> '
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

  for signal, status in pairs { TERM = 143, HUP = 129, QUIT = 131, ABRT = 134 } do
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
    process:type ":t\r"
    process:await "':t' may be :tasks or :time"
    process:await "> "
    process:type ":load\r"
    process:await "path is wanted"
    process:await "> "
    leave()
  end)
end)
