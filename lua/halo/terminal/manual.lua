-- The manual page, made from what the command and the prompt say of themselves.

local commands = require "halo.terminal.commands"
local core = require "halo.core"
local options = require "halo.terminal.options"

local manual = {}

local HEAD = [==[
.TH HALO 1 "" "halo %s" "User Commands"
.SH NAME
halo \- run Lua with an asynchronous file system
.SH SYNOPSIS
.B halo
.RI [ options ]
.RI [ script
.RI [ args ]]
.br
.B halo doctor
.br
.BI "halo check " FILE...
.SH DESCRIPTION
halo runs Lua scripts as tasks on LuaJIT. Calls on files suspend their task and let the others run,
by io_uring where the kernel allows it, else by worker threads. The process ends when all tasks have
ended. Without a script it is a prompt where standard input is a terminal; elsewhere it runs what
comes from there.
]==]

local statuses = {
  { "0", "all went well" },
  { "1", "a script, or a task that nobody joined, has failed; output could not be written; a file "
    .. "that was checked does not compile; the doctor has found something to mend" },
  { "2", "the options are wrong" },
  { "N", "what os.exit(N) says" },
  { "130, 143, 129", "ended by SIGINT (Ctrl-C), SIGTERM or SIGHUP: the tasks were cancelled, and "
    .. "have cleaned up. A second one ends the process at once, as it does where compiled code "
    .. "computes and waits for nothing. What was ignored at the start, as under nohup, stays so" },
  { "141", "ended by SIGPIPE: nobody reads standard output or standard error any more. The tasks "
    .. "were cancelled as well. Where SIGPIPE was ignored at the start, the status is 1, and it is "
    .. "told" },
}

local variables = {
  { "HALO_ENGINE", "auto, ring or pool, where no option says so" },
  { "LUA_INIT, LUA_PATH, LUA_CPATH", "as for luajit" },
  { "NO_COLOR", "the prompt shows values without colours where it is set" },
  { "XDG_STATE_HOME", "where the prompt keeps its history: ~/.local/state by default" },
}

local files = {
  { "$XDG_STATE_HOME/halo/history", "lines typed at the prompt; one that begins with a blank is "
    .. "not kept" },
}

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"))
end

local function section(title, list)
  local lines = { ".SH " .. title }
  for _, entry in ipairs(list) do
    local text = entry[2]:gsub("%.+$", "") .. "."
    lines[#lines + 1] = ".TP\n.B " .. escape(entry[1]) .. "\n" .. escape(text)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function prompt_commands()
  local list = {}
  for i, name in ipairs(commands.order) do
    list[i] = { ":" .. commands.all[name].usage, commands.all[name].about }
  end
  return list
end

---The page in roff, as man(1) takes it.
---@return string
function manual.text()
  local _, _, _, version = core.engine()
  return HEAD:format(escape(version))
    .. section("OPTIONS", options.list)
    .. section("COMMANDS", options.commands)
    .. ".PP\nA script of such a name is run by ./NAME.\n"
    .. section("AT THE PROMPT", prompt_commands())
    .. section("EXIT STATUS", statuses)
    .. section("ENVIRONMENT", variables)
    .. section("FILES", files)
    .. ".SH SEE ALSO\n.BR luajit (1),\n.BR io_uring (7)\n"
end

return manual
