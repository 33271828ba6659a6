-- What holds a script: the command's --allow-read and its like, and a host's halo_lua_allow(). Each
-- attempt of spec/support/escapes.lua is made by a script of its own, and what is outside is looked
-- at before and after.

local command = require "spec.support.command"
local denial = require "spec.support.denial"
local escapes = require "spec.support.escapes"
local host_program = require "spec.support.host_program"
local survived = require "spec.support.survived"
local posix = require "spec.support.posix"
local swappers = require "spec.support.swappers"
local temp = require "spec.support.temp"

local quote, run, halo_line = command.quote, command.run, command.halo_fenced

local PRELUDE = [==[
OUT, RO, RW, PROGRAM, HALO, LIBRARY = ...
SECRET = OUT .. "/secret"
halo = require "halo"
fs = halo.fs
local print, tostring, type, pairs, select = print, tostring, type, pairs, select
function show(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    print(tostring(value))
    if type(value) == "table" then
      for key, field in pairs(value) do print(tostring(key), tostring(field)) end
    end
  end
end
print(pcall(function() %s
end))
]==]

---A place for attempts: what is outside, the root to read, and what the root to write begins as.
local function make_world(root)
  local script = ([[
    set -e; cd %s; mkdir out ro keep rw-other out/empty keep/dir
    for at in out/secret out/code.lua rw-other/secret secret; do
      echo 'return "THE SECRET"' >$at; done
    printf '#!/bin/sh\nprintf "PROGRAM %%%%s" RUNS >&2; : >%s/out/ran\n' >out/program
    ln -s secret out/link; mkfifo out/fifo; touch out/lockfile.lfs ro/lockfile.lfs
    mknod ro/device c 1 5 2>/dev/null || true
    setfattr -n user.secret -v 'THE SECRET' out/secret 2>/dev/null || true
    for at in ro/file keep/file keep/dir/file; do echo plain >$at; done
    chmod -R go=u,go-w .; chmod 755 out/program; cp -p out/program keep/program; cd keep
    ln -s %s/out/secret link; ln -s ../out/secret relative; ln -s %s/out dirlink; ln -s .. up
    ln -s /proc/self proc; ln -s /dev/fd fd; ln -s loop loop; ln -s ../out/new hollow
    ln -s ../../out dir/dirlink
  ]]):format(quote(root), root, root, root)
  local _, stderr, status = run(script)
  assert.same({ "", 0 }, { stderr, status })
end

-- All that is known of what is not to be changed, times of change included.
local LOOK = "ls -I 'script*'; find . -maxdepth 3 \\( -path ./rw -o -name 'script*' \\) -prune -o "
  .. "-type f -printf '%p %m %U %G %s %T@ %C@ %n\\n' -exec cat {} + -o -not -path . "
  .. "-printf '%p %y %m %l %T@\\n'"
local PATIENCE_S = 120

---@param options string[] of the command
local function by_command(options, before)
  return function(root, script)
    return (before or "") .. " " .. halo_line("--allow-read=" .. root .. "/ro",
      "--allow-write=" .. root .. "/rw", unpack(options)) .. " " .. script
  end
end

local host, no_host = host_program.build "fenced_host"

local function by_host(removed)
  return function(root, script)
    return quote(host, root .. "/ro", root .. "/rw", removed) .. " " .. script
  end
end

local library = run("ldconfig -p | sed -n 's/.*libluajit.* => //p' | head -1"):gsub("\n", "")
local count = 0

---Runs pieces of code behind the fence, each by a script of its own that finds all as it was.
---@return string[] said by each, and its status
---@return string seen what there is outside afterwards
local function behind(root, way, codes)
  local lines, said = { "cd " .. quote(root) }, {}
  for i, code in ipairs(codes) do
    local path = ("%s/script%d.lua"):format(root, i)
    local file = assert(io.open(path, "w"))
    file:write((PRELUDE:gsub("%%s", function() return code end)))
    file:close()
    lines[#lines + 1] = ("rm -rf rw; cp -a keep rw; (%s) 2>&1; echo; echo STATUS $?"):format(
      way(root, quote(path, root .. "/out", root .. "/ro", root .. "/rw", root .. "/out/program",
        command.halo_bin, library)))
  end
  lines[#lines + 1] = LOOK
  local stdout, rest = run(table.concat(lines, "\n"), PATIENCE_S), 1
  for text, stop in stdout:gmatch "(.-\nSTATUS %d+)\n()" do
    said[#said + 1], rest = text, stop
  end
  assert.equal(#codes, #said, stdout:sub(-300))
  return said, stdout:sub(rest)
end

local function expect_held(root, before, way, attempts)
  local codes = {}
  for i, attempt in ipairs(attempts) do
    codes[i] = attempt.code
  end
  local said, seen = behind(root, way, codes)
  for i, text in ipairs(said) do
    for _, sign in ipairs { "THE SECRET", "PROGRAM RUNS", "loaded bytecode" } do
      local at = text:find(sign)
      assert.is_nil(at, at and attempts[i].what .. ": " .. text:sub(math.max(1, at - 300), at + 50))
    end
    -- It neither hangs nor ends by a signal.
    assert.is_true(tonumber(text:match "%d+$") < 124, attempts[i].what .. ": " .. text:sub(-300))
  end
  assert.equal(before, seen)
  count = count + #attempts
end

describe("a script behind a fence does not get out", function()
  local root, before

  setup(function()
    root = posix.mkdtemp()
    make_world(root)
    before = run(("cd %s; cp -a keep rw; %s"):format(quote(root), LOOK))
  end)

  teardown(function()
    os.execute("rm -rf " .. quote(root))
    survived.tell_of_file { name = "escapes", kind = "scripts that try to leave their fence",
      tried = count, unit = "attempts", command = "make test SPEC=spec/fences_spec.lua" }
  end)

  for _, kind in ipairs(escapes.kinds) do
    it(("by %s; the command's"):format(kind.name), function()
      expect_held(root, before, by_command {}, kind)
    end)

    it(("by %s; a host's"):format(kind.name), function()
      if not host then
        return pending(no_host)
      end
      expect_held(root, before, by_host "all", kind)
    end)
  end

  it("by any of these, where the kernel has no openat2", function()
    local program, reason = denial.program()
    if not program then
      return pending(reason)
    end
    local all = { what = "all of them" }
    for _, kind in ipairs(escapes.kinds) do
      for _, attempt in ipairs(kind) do
        all[#all + 1] = ("pcall(function() %s end)"):format(attempt.code)
      end
    end
    all.code = table.concat(all, "\n")
    expect_held(root, before, by_command({}, quote(program, "openat2", "ENOSYS")), { all })
  end)
end)

describe("what is tried in vain behind a fence", function()
  it("leads out without one", function()
    local root = posix.mkdtemp()
    make_world(root)
    local said = behind(root, function(_, script)
      return halo_line "--allow-bytecode" .. " " .. script
    end, { [[show(fs.readfile(SECRET)) show(fs.readfile(RW .. "/dirlink/secret"))
      show(os.execute(PROGRAM)) show(require "ffi") show(require "halo.core")
      show(load(string.dump(function() return "loaded " .. "bytecode" end))())
      show(fs.chmod(RW .. "/link", "600"))]] })
    os.execute("rm -rf " .. quote(root))
    for _, sign in ipairs { "THE SECRET.*THE SECRET", "loaded bytecode", "PROGRAM RUNS" } do
      assert.is_truthy(said[1]:find(sign), said[1])
    end
  end)
end)

describe("a race for a directory behind a fence", function()
  local dir = temp.dir()

  it("is not won by swapping it for a link that leads out", function()
    make_world(dir.root)
    local sides, seconds = swappers.sides(dir.root .. "/rw"), swappers.seconds(2)
    run(("cd %s; cp -a keep rw; mkdir %s; for side in %s; do ln -s ../../out $side/1; done"):format(
      quote(dir.root), table.concat(sides, " "), table.concat(sides, " ")))
    local code = ([[
      local fence, tries, reads = RW .. "/dir/", 0, 0
      local last = halo.now() + %s
      while halo.now() < last do
        local calls = {
          function() return fs.readfile(fence .. "secret") end,
          function() return fs.readfile(fence .. "file") end,
          function() return fs.writefile(fence .. "new", "x") end,
          function() return fs.chmod(fence .. "secret", "777") end,
          function() return fs.rename(fence .. "secret", fence .. "mine") end,
          function() return fs.remove(fence .. "code.lua") end,
          function() return fs.copytree(RW .. "/dir", RW .. "/copy" .. tries) end,
          function() return fs.rmtree(RW .. "/copy" .. tries) end,
          function() local place = fs.at(RW .. "/dir") return place and place:readfile "secret" end,
          function() return fs.mkdir(fence .. "a/b", { parents = true }) end,
          function()
            local file = io and io.open(fence .. "secret")
            return file and file:read "*a"
          end,
        }
        halo.map(calls, function(call)
          local got = call()
          if got == 'return "THE SECRET"\n' then show(got) end
          reads = reads + (got == "plain\n" and 1 or 0)
        end)
        tries = tries + 1
      end
      print("tries", tries, reads)
    ]]):format(seconds)
    local look = ("cd %s; %s"):format(quote(dir.root), LOOK)
    local before = run(look)
    local file = dir:file("script.lua", (PRELUDE:gsub("%%s", function() return code end)))
    local words = quote(file, dir:path "out", dir:path "ro", dir:path "rw", "", "", "")
    local attack = swappers.start(sides, { dir:path "rw/dir" })
    local said, problem = run(by_command({}, "cd / &&")(dir.root, words), PATIENCE_S)
    local by_host_alone = host and run(by_host "ffi loadlib debug internals io"(dir.root, words),
      PATIENCE_S) or ""
    attack:finish()
    assert.equal("", problem)
    for _, text in ipairs { said, by_host_alone } do
      assert.is_nil(text:find "THE SECRET", text)
      assert.is_true(text == "" or tonumber(text:match "tries\t(%d+)") > 0, text)
    end
    assert.equal(before, run(look))
  end)
end)
