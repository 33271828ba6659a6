-- Draws the picture of the prompt for the README: a session is typed at the real one, in tmux, and
-- what the screen shows then becomes an SVG.
--
--     build/halo spec/bench/prompt_picture.lua build/halo spec/bench/prompt.svg

local halo_bin, output = arg[1], arg[2]

local COLUMNS, ROWS = 80, 30
local WIDTH, HEIGHT, LEFT, TOP = 8.43, 18, 16, 44 -- of a character, and where the first one is

-- What is typed, and how long to let it work.
local session = {
  { 'halo.spawn(function() halo.sleep(10) print "done, while you were typing" end)\n', 0.3 },
  { 'fs.stat("core/halo.h", "size", "type")\n', 0.3 },
  { 'fs.open("/nope")\n', 0.3 },
  { 'local sizes = halo.map(fs.readdir "core/ops", function(entry)\n', 0.3 },
  { 'return fs.stat("core/ops/" .. entry.name, "size") end)\n', 0.3 },
  { '{ files = #sizes, first = sizes[1], names = { "ring", "moon" } }\n', 0.3 },
  { ":tasks\n", 0.3 },
  { "nope.field\n", 0.3 },
  { "fs.re\t", 0.3 },
}
local AT_LAST = "done, while you"

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function tmux(...)
  local words = { "tmux", "-L", "halo-picture", ... }
  for i, word in ipairs(words) do
    words[i] = quote(word)
  end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

---The screen after the session, with its escapes for colours.
local function record()
  local command = ("exec env XDG_STATE_HOME=/nonexistent HOME= %s"):format(quote(halo_bin))
  tmux("-f", "/dev/null", "new-session", "-d", "-x", tostring(COLUMNS), "-y", tostring(ROWS),
    command)
  require("halo").sleep(0.5)
  tmux("send-keys", "C-l") -- the banner names the machine's kernel
  for _, step in ipairs(session) do
    for key in step[1]:gmatch "." do
      local name = key == "\n" and "Enter" or key == "\t" and "Tab"
      if name then
        tmux("send-keys", name)
      else
        tmux("send-keys", "-l", key == ";" and "\\;" or key)
      end
    end
    require("halo").sleep(step[2])
  end
  local screen
  repeat
    require("halo").sleep(0.2)
    screen = tmux("capture-pane", "-e", "-p")
  until screen:gsub("^[^\n]*", ""):find("\n" .. AT_LAST, 1, true)
  tmux "kill-server"
  return screen
end

local COLOURS = {
  ["32"] = "#9ece6a", ["33"] = "#e0af68", ["35"] = "#bb9af7", ["36"] = "#7dcfff", ["2"] = "#787c99",
}
local PLAIN = "#c0caf5"

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

---A row of the screen as pieces of one colour each.
local function draw_row(parts, row, number)
  local y, column, colour = TOP + number * HEIGHT, 0, PLAIN
  local function add(text)
    if text:find "%S" then
      parts[#parts + 1] = ('<text x="%.1f" y="%d" fill="%s">%s</text>'):format(
        LEFT + column * WIDTH, y, colour, escape(text))
    end
    column = column + #text
  end
  for text, codes in (row .. "\27[m"):gmatch "([^\27]*)\27%[([%d;]*)m" do
    add(text)
    colour = PLAIN
    for code in codes:gmatch "%d+" do
      colour = COLOURS[code] or colour
    end
  end
end

local function draw(screen)
  local rows = {}
  for row in (screen:gsub("%s+$", "")):gmatch "[^\n]+" do
    rows[#rows + 1] = row
  end
  local width, height = math.ceil(2 * LEFT + COLUMNS * WIDTH), TOP + #rows * HEIGHT
  local parts = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">'):format(
      width, height, width, height),
    "<title>The prompt of halo</title>",
    ('<rect width="%d" height="%d" rx="10" fill="#1a1b26"/>'):format(width, height),
    '<circle cx="20" cy="17" r="5" fill="#f7768e"/><circle cx="38" cy="17" r="5" fill="#e0af68"/>'
      .. '<circle cx="56" cy="17" r="5" fill="#9ece6a"/>',
    '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14" xml:space="preserve">',
  }
  for i, row in ipairs(rows) do
    draw_row(parts, row, i - 1)
  end
  parts[#parts + 1] = "</g></svg>\n"
  return table.concat(parts, "\n")
end

local file = assert(io.open(output, "w"))
file:write(draw(record()))
file:close()
