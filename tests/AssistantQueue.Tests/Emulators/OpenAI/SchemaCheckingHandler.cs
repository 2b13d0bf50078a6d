using System.Collections.Concurrent;
using System.Net.ServerSentEvents;
using System.Text;

namespace AssistantQueue.Tests.Emulators;

/// <summary>Holds every request, answer and event that passes against the published schema, and remembers the faults.</summary>
internal sealed class SchemaCheckingHandler(bool requests = true) : DelegatingHandler(new SocketsHttpHandler())
{
    private readonly ConcurrentQueue<string> faults = [];
    private readonly ConcurrentQueue<Recording> streams = [];

    /// <summary>Gets what was wrong so far; streams count when they have been read.</summary>
    public IReadOnlyList<string> Faults
    {
        get
        {
            while (streams.TryDequeue(out var stream))
            {
                foreach (var e in SseParser.Create(new MemoryStream(stream.Copy.ToArray())).Enumerate())
                {
                    Add($"{stream.Request} event {e.EventType} {e.Data}", OpenAISchema.Event(e.EventType, e.Data));
                }
            }

            return [.. faults];
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var (method, path) = (request.Method.Method, request.RequestUri!.PathAndQuery);
        var sent = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        if (requests)
        {
            Add($"{method} {path} {sent}", OpenAISchema.Request(method, path, sent));
        }

        var response = await base.SendAsync(request, cancellationToken);
        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            var recording = new Recording($"{method} {path}", await response.Content.ReadAsStreamAsync(cancellationToken));
            streams.Enqueue(recording);
            Replace(response, new StreamContent(recording));
        }
        else
        {
            var bytes = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            var text = Encoding.UTF8.GetString(bytes);
            Add($"{method} {path} answered {(int)response.StatusCode} {text}", OpenAISchema.Response(method, path, (int)response.StatusCode, text));
            Replace(response, new ByteArrayContent(bytes));
        }

        return response;
    }

    private static void Replace(HttpResponseMessage response, HttpContent content)
    {
        foreach (var (name, values) in response.Content.Headers)
        {
            content.Headers.TryAddWithoutValidation(name, values);
        }

        response.Content = content;
    }

    private void Add(string what, IReadOnlyList<string> found)
    {
        foreach (var fault in found)
        {
            faults.Enqueue($"{what}\n  {fault}");
        }
    }

    /// <summary>Passes a stream on and keeps what was read.</summary>
    private sealed class Recording(string request, Stream inner) : Stream
    {
        public string Request => request;

        public MemoryStream Copy { get; } = new();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            Copy.Write(buffer.Span[..count]);
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            base.Dispose(disposing);
        }

        int ReadSync(Span<byte> buffer)
        {
            var count = inner.Read(buffer);
            Copy.Write(buffer[..count]);
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => ReadSync(buffer.AsSpan(offset, count));
    }
}
