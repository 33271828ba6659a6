-- The fence that options of the command put around a script: what it lets by, what it says, and
-- that the kernel holds each engine.

local command = require "spec.support.command"
local denial = require "spec.support.denial"
local temp = require "spec.support.temp"

local quote, run, halo_line = command.quote, command.run, command.halo_fenced

describe("the command's fence", function()
  local dir = temp.dir()

  ---What halo says of a script below --allow-read=ro --allow-write=rw, in their directory.
  local function halo_says(options, code, before)
    dir:file("script.lua", "local halo = require 'halo' local fs = halo.fs " .. code)
    local words = {}
    for word in options:gmatch "%S+" do
      table.insert(words, word)
    end
    table.insert(words, "script.lua")
    return run(("cd %s; mkdir -p ro rw; echo plain >ro/file; %s %s"):format(quote(dir.root),
      before or "", halo_line(unpack(words))))
  end

  local function it_does(what, options, code, expected)
    it(what, function()
      local stdout, stderr = halo_says(options, code)
      assert.equal("", stderr)
      assert.equal((expected:gsub("DIR", dir.root)), stdout)
    end)
  end

  local ROOTS = "--allow-read=ro --allow-write=rw"

  it_does("lets by what it should", ROOTS, [[
    print(fs.readfile "ro/file", #fs.readdir "ro", fs.stat("ro", "is_dir"), fs.glob("ro/*")[1])
    print(fs.writefile("rw/a", "1"), fs.writefile("rw/a", "2"), fs.readfile "rw/a")
    print(fs.mkdir("rw/b/c", { parents = true }), fs.rename("rw/a", "rw/b/a"))
    print(fs.chmod("rw/b", "700"), #fs.glob "*")
    print(fs.copytree("rw/b", "rw/d"), fs.move("rw/d", "rw/e"), fs.rmtree "rw/e", #fs.glob "rw/**")
    print(fs.symlink("b", "rw/link"), fs.readfile "rw/link/a", fs.realpath "rw/link/a")
    print(fs.chdir "rw/b", fs.readfile "a", fs.readfile "../../ro/file", fs.at("."):readfile "a")
    print(fs.mkstemp(fs.cwd() .. "/XXXXXX") ~= nil, io.open("a"):read "*a", fs.remove "a")
    local count = 0
    for _ in fs.walk ".." do count = count + 1 end
    print(count, pcall(fs.watch, "."), os.date("%Y") > "2000", fs.umask() >= 0)
  ]],
    "plain\n\t1\ttrue\tro/file\ntrue\ttrue\t2\ntrue\ttrue\ntrue\t0\ntrue\ttrue\ttrue\t3\n"
    .. "true\t2\tDIR/rw/b/a\ntrue\t2\tplain\n\t2\ntrue\t2\ttrue\n4\ttrue\ttrue\ttrue\n")

  it_does("names the path and the option", ROOTS, [[
    for _, call in ipairs {
      function() return fs.readfile "/etc/passwd" end, function() return fs.readfile "rw/../x" end,
      function() return fs.writefile("ro/a", "x") end,
      function() return fs.rename("rw/a", "ro/a") end,
      function() return fs.chdir "/" end, function() return io.open "/etc/passwd" end,
      function() return io.open("ro/file", "a") end, function() return os.remove "ro/file" end,
      function() return pcall(io.lines, "/etc/passwd") end, function() return os.execute "true" end,
      function() return io.popen "true" end, function() return halo.process.run { "true" } end,
    } do print(call()) end]],
    "nil\tEACCES: not allowed (--allow-read): /etc/passwd\tEACCES\n"
    .. "nil\tEACCES: not allowed (--allow-read): rw/../x\tEACCES\n"
    .. "nil\tEACCES: not allowed (--allow-write): ro/a\tEACCES\n"
    .. "nil\tEACCES: not allowed (--allow-write): rw/a -> ro/a\tEACCES\n"
    .. "nil\tEACCES: not allowed (--allow-read): /\tEACCES\n"
    .. "nil\t/etc/passwd: not allowed (--allow-read)\t13\n"
    .. ("nil\tro/file: not allowed (--allow-write)\t13\n"):rep(2)
    .. "false\t/etc/passwd: not allowed (--allow-read)\nnil\tnot allowed (--no-exec)\t13\n"
    .. "nil\ttrue: not allowed (--no-exec)\t13\n"
    .. "nil\tEACCES: not allowed (--no-exec): true\tEACCES\n")

  it_does("names them in what stands for LuaFileSystem", ROOTS .. " --lfs", [[
    local lfs, etc = require "lfs", "/etc/passwd"
    fs.symlink("/etc", "rw/out")
    for _, call in ipairs {
      function() return lfs.attributes(etc) end,
      function() return lfs.symlinkattributes(etc, "mode") end,
      function() return lfs.symlinkattributes(etc, "target") end,
      function() return pcall(lfs.dir, "/etc") end, function() return lfs.chdir "/etc" end,
      function() return lfs.chdir "rw/out" end,
      function() return lfs.attributes "rw/out/passwd" end,
      function() return lfs.mkdir "ro/a" end, function() return lfs.rmdir "ro/a" end,
      function() return lfs.touch "ro/file" end, function() return lfs.link("ro/file", "ro/a") end,
      function() return lfs.lock_dir "ro" end, function() return lfs.lock_dir "/etc" end,
      function() return io.open "rw/out/passwd" end,
      function() return os.remove "rw/out/passwd" end,
    } do print(call()) end]],
    "nil\tcannot obtain information from file '/etc/passwd': not allowed (--allow-read)\t13\n"
    .. "nil\tcannot obtain information from file '/etc/passwd': not allowed (--allow-read)\t13\n"
    .. "nil\tcould not obtain link target: not allowed (--allow-read): /etc/passwd\t13\n"
    .. "false\tcannot open /etc: not allowed (--allow-read)\n"
    .. "nil\tUnable to change working directory to '/etc'\nnot allowed (--allow-read)\n\n"
    .. "nil\tUnable to change working directory to 'rw/out'\nnot allowed (--allow-read)\n\n"
    .. "nil\tcannot obtain information from file 'rw/out/passwd': not allowed (--allow-read)"
    .. "\t13\n" .. ("nil\tnot allowed (--allow-write): ro/a\t13\n"):rep(2)
    .. "nil\tnot allowed (--allow-write): ro/file\t13\n"
    .. "nil\tnot allowed (--allow-write): ro/file -> ro/a\t13\n"
    .. "nil\tnot allowed (--allow-write): ro/lockfile.lfs\n"
    .. "nil\tnot allowed (--allow-read): /etc\n"
    .. "nil\trw/out/passwd: not allowed (--allow-read)\t13\n"
    .. "nil\trw/out/passwd: not allowed (--allow-write)\t13\n")

  it_does("names them where a module is looked for", ROOTS, [[
    package.path = "/etc/?.conf;ro/?.lua"
    print(select(2, pcall(require, "none")))]],
    "module 'none' not found:\n\tno field package.preload['none']\n"
    .. "\tno file '/etc/none.conf': not allowed (--allow-read)\n\tno file 'ro/none.lua'\n")

  it_does("may hold nothing but programs", "--no-exec", [[
    print(fs.readfile "/etc/passwd" ~= nil, os.execute "true")
    local ffi = require "ffi"
    ffi.cdef "int system(const char *);"
    print(ffi.C.system "true" ~= 0)]],
    "true\tnil\tnot allowed (--no-exec)\t13\ntrue\n")

  it_does("may hold nothing but the FFI", "--no-ffi", [[
    print(fs.readfile "/etc/passwd" ~= nil, os.execute "true", (pcall(require, "ffi")),
      (pcall(require, "halo.core")), debug.getregistry, debug.traceback ~= nil, package.loadlib)]],
    "true\t0\tfalse\tfalse\tnil\ttrue\tnil\n")

  it_does("names path and flag for temporary files", ROOTS, [[
    print(io.tmpfile()) print(pcall(os.tmpname))]],
    "nil\t/tmp: not allowed (--allow-write)\t13\nfalse\t/tmp: not allowed (--allow-write)\n")

  it_does("lets programs by with --allow-exec, which stay behind it",
    ROOTS .. " --allow-exec --allow-read=/usr,/lib,/bin", [[
    print((halo.process.run { "cat", "ro/file" }))
    print((halo.process.run { "sh", "-c", "cat /etc/passwd 2>&1" }))
    print((halo.process.run { "sh", "-c", "(echo >ro/new) 2>&1" }))]],
    "plain\n\ncat: /etc/passwd: Permission denied\n\n"
    .. "sh: 1: cannot create ro/new: Permission denied\n\n")

  it_does("leaves the FFI with --allow-ffi", ROOTS .. " --allow-ffi", [[
    local ffi = require "ffi"
    ffi.cdef "int open(const char *, int, ...);"
    print(ffi.C.open("/etc/passwd", 0), fs.readfile "/etc/passwd")]],
    "-1\tnil\tEACCES: not allowed (--allow-read): /etc/passwd\tEACCES\n")

  it_does("has a single file as a root", "--allow-write=ro/file", [[
    print(fs.readfile "ro/file", fs.writefile("ro/file", "x", { atomic = false }))
    local file = fs.open("ro/file", "r+")
    print(file:write "new", fs.chmod("ro/file", "600"), (fs.remove "ro/file"), (fs.readdir "ro"))
    print((fs.rename("ro/file", "ro/a")), (fs.readfile "ro/file/../../script.lua"))]],
    "plain\n\ttrue\n3\ttrue\tnil\tnil\nnil\tnil\n")

  it("finds modules in the directories of package.path", function()
    dir:file("module.lua", "return 'found'")
    local stdout = halo_says(ROOTS, "print(require 'module')",
      ("LUA_PATH='%s/?.lua'"):format(dir.root))
    assert.equal("found\n", stdout)
    local _, stderr, status = halo_says(ROOTS, "print(require 'module')", "LUA_PATH='./?.lua'")
    assert.equal(1, status)
    assert.is_truthy(stderr:find "module 'module' not found")
  end)

  it("is an error where the kernel has no Landlock", function()
    local program, reason = denial.program()
    if not program then
      return pending(reason)
    end
    for _, options in ipairs { ROOTS, "--no-exec" } do
      local stdout, stderr, status = halo_says(options, "print 'it runs'",
        quote(program, "landlock", "ENOSYS"))
      assert.same({ "", 2 }, { stdout, status })
      assert.is_truthy(stderr:find "this kernel has no Landlock")
    end
  end)

  it("is an error where a path is not there, or options contradict each other", function()
    for options, message in pairs {
      ["--allow-read=none"] = "halo: cannot put up the fence: none: No such file or directory\n",
      ["--allow-write=ro,none"] = "cannot put up the fence: none: No such file or directory\n",
      ["--allow-read"] = "needs paths",
      ["--allow-read="] = "needs paths",
      ["--allow-all=ro"] = "unknown option --allow-all=ro",
      ["--allow-exec"] = "--allow-exec goes with --allow-read or --allow-write",
      ["--allow-ffi"] = "--allow-ffi goes with --allow-read or --allow-write",
      ["--allow-read=ro --no-ffi --allow-ffi"] = "--allow-ffi and --no-ffi contradict each other",
    } do
      local stdout, stderr, status = halo_says(options, "print 'it runs'")
      assert.same({ "", 2 }, { stdout, status })
      assert.is_truthy(stderr:find(message, 1, true), stderr)
    end
  end)

  it("is there at the prompt, for -e and for standard input", function()
    for _, line in ipairs { "--allow-read=ro -e %s", "--allow-read=ro - <<END\n%s\nEND\n",
      "--allow-read=ro -i <<END\n%s\nEND\n" } do
      local code = "print(halo.fs.readfile [[/etc/passwd]])"
      run(("mkdir %s/ro"):format(dir.root))
      local stdout, stderr = run(("cd %s; %s %s"):format(quote(dir.root), halo_line(),
        line:format(line:find "-e " and quote(code) or "halo = require 'halo' " .. code)))
      assert.is_truthy(stdout:find("EACCES: not allowed (--allow-read): /etc/passwd", 1, true),
        stdout .. stderr)
    end
  end)
end)

describe("Landlock", function()
  local dir = temp.dir()

  -- It is put up by the script itself, behind halo's back, so that only the kernel refuses.
  local CODE = [==[
    local halo, ffi = require "halo", require "ffi"
    local fs, path, warm = halo.fs, ...
    ffi.cdef [[long syscall(long, ...); int prctl(int, ...);]]
    local function ask_all(kind)
      local counts = {}
      local list = {}
      for i = 1, 64 do list[i] = i end
      halo.map(list, function(i)
        local file, _, code
        local which = i % (warm ~= "" and 3 or 4) -- the last one is no operation of a ring
        if which == 0 then file, _, code = fs.open(path .. "/new" .. kind .. i, "w")
        elseif which == 1 then file, _, code = fs.open(path .. "/file")
        elseif which == 2 then file, _, code = fs.mkdir(path .. "/dir" .. kind .. i)
        else file, _, code = fs.readfile(path .. "/file") end
        counts[code or "none"] = (counts[code or "none"] or 0) + 1
      end, 64)
      print(kind, counts.none or 0, counts.EACCES or 0)
    end
    if warm ~= "" then ask_all "before" end
    local handled = ffi.new("uint64_t[1]", 0x1fff)
    local ruleset = ffi.C.syscall(444, handled, ffi.cast("long", 8), ffi.cast("long", 0))
    local zero = ffi.cast("long", 0)
    ffi.C.prctl(38, ffi.cast("long", 1), zero, zero, zero)
    local error = ffi.C.syscall(446, ruleset, zero)
    print("held", tonumber(ruleset) >= 0 and tonumber(error) == 0)
    ask_all "behind"
    print(halo.engine())
  ]==]

  ---The script, with operations before the fence that start the ring and its workers, or without.
  local function behind_landlock(warm)
    dir:file("file", "plain")
    local script = dir:file("script.lua", CODE)
    local stdout, stderr = run(halo_line(script, dir.root, warm))
    assert.equal("", stderr)
    return stdout
  end

  it("holds what this engine does", function()
    if os.getenv "HALO_ENGINE" ~= "ring" then
      return pending "a worker may have read the script, and is there before the fence"
    end
    local stdout = behind_landlock ""
    if stdout:find "held\tfalse" then
      return pending "this kernel has no Landlock"
    end
    assert.is_truthy(stdout:find "behind\t0\t64\n", stdout)
  end)

  it("holds a ring that was there before, and its workers", function()
    local stdout = behind_landlock "warm"
    if stdout:find "held\tfalse" then
      return pending "this kernel has no Landlock"
    elseif os.getenv "HALO_ENGINE" ~= "ring" then
      return pending "threads that were there before are not held, and so halo starts none"
    end
    assert.is_truthy(stdout:find "before\t64\t0\n", stdout)
    assert.is_truthy(stdout:find "behind\t0\t64\n", stdout)
  end)
end)
