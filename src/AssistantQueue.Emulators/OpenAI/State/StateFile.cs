using System.Text.Json;
using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>A file of JSON lines that only grows: a line that was written survives a kill of the process, a torn last line is dropped at the next start.</summary>
internal sealed class StateFile : IDisposable
{
    private readonly string path;
    private FileStream stream;

    public StateFile(string path)
    {
        this.path = path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        stream = Open();
    }

    /// <summary>Reads all lines, oldest first, and cuts off a torn one at the end.</summary>
    public IEnumerable<JsonNode> ReadAll()
    {
        stream.Position = 0;
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        var bytes = memory.GetBuffer().AsMemory(0, (int)memory.Length);
        var whole = bytes.Span.LastIndexOf((byte)'\n') + 1;
        stream.SetLength(whole);
        stream.Position = whole;
        for (var start = 0; start < whole;)
        {
            var length = bytes.Span[start..whole].IndexOf((byte)'\n');
            yield return JsonNode.Parse(bytes.Span.Slice(start, length)) ?? throw new JsonException($"An empty line in {path}.");
            start += length + 1;
        }
    }

    /// <summary>Appends whole lines.</summary>
    public void Append(byte[] lines) => stream.Write(lines);

    /// <summary>Puts a shorter file with the same meaning in this one's place, in one step.</summary>
    public void Replace(IEnumerable<byte[]> lines)
    {
        var next = path + ".new";
        using (var writer = new FileStream(next, FileMode.Create, FileAccess.Write))
        {
            foreach (var line in lines)
            {
                writer.Write(line);
            }
        }

        stream.Dispose();
        File.Move(next, path, overwrite: true);
        stream = Open();
        stream.Seek(0, SeekOrigin.End);
    }

    public void Dispose() => stream.Dispose();

    private FileStream Open()
    {
        try
        {
            // no buffer in the process: what Append has written is the system's, whatever happens to us
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        }
        catch (IOException e)
        {
            throw new IOException($"The OpenAI emulator can't open {path}: {e.Message} One emulator at a time may use a data directory.", e);
        }
    }
}
