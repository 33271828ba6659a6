-- examples/nginx: a sketch of a module for nginx, built as somebody would who has nginx's headers,
-- and run where nginx is, too.

local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local HEADERS = "/usr/share/nginx/src"
local PATIENCE_S = 120

---Why it cannot be tried here.
local function unavailable()
  if os.getenv "HALO_ENGINE" ~= "auto" then
    return "one engine's run is enough"
  elseif command.build_dir:match "([^/]*)$" ~= "build" then
    return "only the plain build is installed"
  elseif not command.exists "pkg-config" or not io.open(HEADERS .. "/auto/module") then
    return "nginx's headers are not installed"
  end
end

local config = [[
load_module %s/src/objs/ngx_http_halo_module.so;
error_log %s/error.log; pid %s/pid; user root;
events {}
http {
    access_log off;
    server { listen unix:%s/socket; location / { halo_content %s/script.lua; } }
}
]]

local script = [[
local halo = require "halo"
return function(path, args)
  if args == "wait" then
    halo.sleep(0.2)
  elseif args == "hang" then
    local _, err = pcall(halo.sleep, 1000)
    halo.shield(halo.fs.writefile, %q, tostring(err))
    error(err)
  elseif args == "fail" then
    error "oops"
  end
  return 200, halo.fs.readfile(%q) .. path
end
]]

describe("the module for nginx #slow", function()
  local dir = temp.dir()
  local why_not = unavailable()

  local function build()
    local prefix = dir:path "usr"
    local output, errors, status = run(([[
      env -u MAKEFLAGS -u MAKELEVEL make install PREFIX=%s &&
      cp -r %s %s && cd %s && PKG_CONFIG_PATH=%s/lib/pkgconfig ./configure --with-compat \
        --with-threads --without-http_gzip_module --with-ld-opt=-Wl,-rpath,%s/lib \
        --add-dynamic-module=$OLDPWD/examples/nginx && make -f objs/Makefile modules]]):format(
      prefix, HEADERS, dir:path "src", dir:path "src", prefix, prefix), PATIENCE_S)
    assert.same(0, status, output .. errors)
  end

  local function get(what, ...)
    return run(quote("curl", "-s", "--unix-socket", dir:path "socket", "-w", "%{http_code}",
      "http://localhost/" .. what, ...))
  end

  it("is built, and serves what waits at the same time", function()
    if why_not then
      return pending(why_not)
    end
    build()
    if not command.exists "nginx" or not command.exists "curl" or run "id -u" ~= "0\n" then
      return pending "nginx or curl is not installed, or this is not root"
    end
    local root = dir.root
    dir:file("nginx.conf", config:format(root, root, root, root, root))
    dir:file("script.lua", script:format(dir:path "cancelled", dir:file("text", "hello ")))
    local nginx = quote("nginx", "-c", dir:path "nginx.conf")
    local _, errors, status = run(nginx)
    assert.equal(0, status, errors)

    assert.equal("hello /a200", (get "a"))
    assert.equal("500", (get("a?fail"):match "%d+$"))
    local together = run(("for i in 1 2 3 4 5; do %s & done; wait"):format(
      quote("curl", "-s", "--unix-socket", dir:path "socket", "http://localhost/b?wait")))
    assert.equal(("hello /b"):rep(5), together)
    get("c?hang", "-m", "0.2")
    eventually("the task of a client that has gone away is cancelled", function()
      local file = io.open(dir:path "cancelled")
      return file and file:read "*a" == "cancelled" and file:close()
    end)
    run(nginx .. " -s quit")
    eventually("nginx ends", function()
      local file = io.open(dir:path "pid")
      return not file or not file:close()
    end)
    local log = dir:read "error.log"
    assert.is_nil(log:match "%[alert%][^\n]*" or log:match "%[emerg%][^\n]*", log)
    assert.is_truthy(log:find("halo: .*oops"))
  end)
end)
