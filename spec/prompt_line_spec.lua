-- The prompt on a terminal: what is pasted, typed at once, searched and drawn again.

local prompt = require "spec.support.prompt"
local temp = require "spec.support.temp"
local terminal = require "spec.support.terminal"

local CTRL_C, CTRL_D, UP, LEFT = "\3", "\4", "\27[A", "\27[D"

describe("the line that is edited", function()
  local dir, process

  after_each(function() prompt.check_terminal(dir) end)

  dir = temp.dir()

  if not terminal.is_available() then
    it("is drawn", function() pending "there is no script or no stty" end)
    return
  end

  local function start(options)
    process = prompt.start(dir, options)
  end

  local function enter(...) prompt.enter(process, ...) end
  local function leave() return prompt.leave(process) end

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

    it("and none of its pieces where the first is interrupted", function()
      start()
      paste "print(1)\n2\n3 + 1\nprint 'four'"
      process:await "paste>> print 'four'"
      process:type("\r" .. CTRL_C)
      process:await "interrupted\r\n> "
      enter("5", "5")
      assert.falsy(leave():find("\nfour", 1, true))
    end)

    it("with what ends the input when it is typed", function()
      start()
      paste "\4"
      enter(LEFT .. "1 --", "1")
      enter("#'\22\18'", "1") -- as what begins a search, behind Ctrl-V
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

  it("comes as one from the history, be it several", function()
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

  describe("searches in the history", function()
    before_each(function()
      start()
      for _, line in ipairs { "alpha = 1", "'ä', 2", "alpha + 2", "alpha + 2", "'last'" } do
        process:type(line .. "\r")
        process:await "\27[?2004l\r\n"
        process:await "> "
      end
    end)

    it("the latest first, and runs what it finds", function()
      process:type "\18alpha"
      process:await "search 'alpha': alpha + 2"
      process:type "\18"
      process:await "search 'alpha': alpha = 1"
      process:type "\18"
      process:await "not found 'alpha': alpha = 1"
      process:type "\8\8"
      process:await "search 'alp': alpha + 2"
      enter("", "3")
      process:type "\18ä"
      process:await "search 'ä': 'ä', 2"
      enter("\5 + 1", '"ä"\t3') -- which goes on editing it
      leave()
    end)

    it("until it is left", function()
      process:type "1 + 1\18alpha"
      process:await "search 'alpha': alpha + 2"
      process:type "\7"
      process:await "> 1 + 1"
      process:type "\18nope"
      process:await "not found 'nope': "
      process:type(CTRL_C)
      process:await "^C\r\n> "
      leave()
    end)

    it("while tasks go on", function()
      dir:fifo "fifo"
      process:type(("task = halo.spawn(function() fs.readfile('%s') print 'went on' end)\r"):format(
        dir:path "fifo"))
      process:await "> "
      process:type "\18alpha"
      process:await "search 'alpha': alpha + 2"
      os.execute(("timeout 20 sh -c 'echo >%s'"):format(dir:path "fifo"))
      process:await "went on\r\n"
      process:await "search 'alpha': alpha + 2"
      process:type "\24" -- which wants another key
      process:type "\24"
      enter("", "3")
      process:type "\27x" -- as libedit's command line, which waits as well
      enter("5", "5")
      leave()
    end)
  end)

  it("is dropped at Ctrl-C in its turn among what is typed at once", function()
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

  it("answers while tasks print without a pause", function()
    start()
    process:type("going = true for _ = 1, 3 do halo.spawn(function() "
      .. "while going do io.write(('x'):rep(2000), '\\n') end end) end\r")
    process:await "xx\r\n"
    process:type "going = false return 6 * 7\r"
    process:await "42\r\n> "
    leave()
  end)

  it("calls nothing of the user's at a Tab", function()
    start()
    enter("called = 0 setmetatable(_G, { __index = function() called = called + 1 end }) return 1",
      "1")
    process:type("nosuch.x\t" .. CTRL_C)
    process:await "^C\r\n> "
    enter("called", "0")
    leave()
  end)

  it("keeps what is behind the cursor where it becomes too long", function()
    start()
    process:type("#'a'" .. LEFT)
    process:await "\8"
    process:type(("b"):rep(3000))
    process:await "too long to be edited"
    process:type "\r"
    process:await "3001\r\n> "
    leave()
  end)

  it("leaves Ctrl-C to a task that computes", function()
    start()
    enter("1", "1") -- lines where it is a key
    enter("2", "2")
    enter("_ = halo.spawn(function() halo.sleep(0.01) print 'busy' pcall(function() "
      .. "while true do end end) os.exit(7) end) return 1", "1")
    process:await "busy\r\n"
    process:type(CTRL_C)
    assert.equal(7, (select(3, process:finish())))
  end)

  it("is drawn anew in a window of another size", function()
    start()
    process:type "_ = fs.readlink '/proc/self/fd/0' print(_)\r"
    process:await "/dev/pts/"
    process:await "\r\n"
    local name = process.seen:match "(/dev/pts/%d+)\r\n$"
    process:await "> "
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

  it("is left below it where a task ends the process", function()
    start()
    process:type "halo.spawn(function() halo.poll(0, 'r') halo.sleep(0.2) os.exit(7) end) _ = nil\r"
    process:await "\r\n> "
    process:type "half"
    process:await "half"
    local stdout, _, status = process:finish()
    assert.equal(7, status)
    assert.matches("half[^\n]*\r\n[^\n]*$", stdout)
  end)

  it("stays whole where names are listed below, which fit into the window", function()
    dir:file("eins-ä", "")
    dir:file("eins-b", "")
    start { columns = 20 }
    process:type(("halo.path.relative('%s/eins%s%s"):format(dir.root, "\t", "\t"))
    process:await "eins-b  eins-ä\r\n> halo" -- below all rows of the line
    process:type(CTRL_C)
    process:await "^C\r\n> "
    process:type "_n = { alpha_1 = 1, alpha_2 = 2, alpha_3 = 3 }\r"
    process:await "\r\n> "
    process:type("_n.al" .. "\t\t")
    process:await "alpha_1  alpha_3\r\nalpha_2\r\n> _n.alpha_"
    process:type(CTRL_C)
    process:await "^C\r\n> "
    leave()
  end)

  it("is drawn once all have printed, be they ended in it", function()
    start()
    process:type "for _, text in ipairs { 'printed', 'printed' } do "
    process:type "halo.spawn(function() halo.poll(0, 'r') print(text) error 'oh' end) end\r"
    process:await "\r\n> "
    process:type "1"
    process:await "printed\r\n"
    process:await "printed\r\n"
    process:await "> 1"
    enter("1", "11")
    process:type "task = halo.spawn(function() halo.sleep(0.1) pcall(print, setmetatable({}, "
    process:type "{ __tostring = error })) end)\r"
    process:await "> "
    process:type "2"
    process:await "\r\27[J> 2"
    enter("2", "22")
    process:type(CTRL_D)
    assert.falsy(process:finish():find("1printed", 1, true))
  end)
end)
