-- The prompt on a terminal: what is typed, and the keys that are no text.

local command = require "spec.support.command"
local temp = require "spec.support.temp"
local terminal = require "spec.support.terminal"

local CTRL_C, CTRL_D, TAB, UP, LEFT = "\3", "\4", "\t", "\27[A", "\27[D"

describe("the prompt on a terminal", function()
  local dir = temp.dir()
  local process

  if not terminal.is_available() then
    it("edits lines", function() pending "there is no script or no stty" end)
    return
  end

  local function start(options)
    options = options or {}
    options.environment = ("TERM=%s XDG_STATE_HOME=%s NO_COLOR=1"):format(options.term or "xterm",
      command.quote(dir:path "state"))
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

  it("drops what is typed at Ctrl-C, and leaves at the second one", function()
    start()
    process:type "half a li"
    process:type(CTRL_C)
    process:await "leaves)\r\n> "
    enter("1", "1")
    process:type(CTRL_C)
    process:await "leaves)\r\n> "
    process:type(CTRL_C)
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
    process:await "waits for sleep"
    process:await "> "
    process:type(CTRL_D)
    local _, _, status = process:finish()
    assert.equal(0, status)
  end)

  it("takes a line that is too long to be edited", function()
    start()
    enter("#'" .. ("x"):rep(100000) .. "'", "100000")
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
