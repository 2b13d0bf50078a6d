using System.Net.Http;
using System.Text.RegularExpressions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>An HTTP handler that passes its owner's crash points around each request and in each stream. What a dead owner had under way is cut, as the system does with a dead process' sockets.</summary>
internal sealed partial class ApiKiller(Owner owner, Func<string, Task> onRequest) : DelegatingHandler(new SocketsHttpHandler())
{
    /// <summary>What a request is called: method and path, a star for each id.</summary>
    public static string NameOf(HttpRequestMessage request) => $"{request.Method} {Ids().Replace(request.RequestUri!.AbsolutePath, "*")}";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var call = NameOf(request);
        var number = owner.Begin(call);
        await onRequest(call);
        await owner.PassAsync(call, number, CrashMoment.Before);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, owner.Life);
        HttpResponseMessage response;
        try
        {
            response = await base.SendAsync(request, either.Token);
        }
        catch (Exception) when (owner.IsDead)
        {
            throw await owner.WaitForBurialAsync();
        }

        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            var body = new StreamContent(new KillableStream(await response.Content.ReadAsStreamAsync(cancellationToken), owner, call, number));
            foreach (var (name, values) in response.Content.Headers)
            {
                body.Headers.TryAddWithoutValidation(name, values);
            }

            response.Content = body;
        }

        await owner.PassAsync(call, number, CrashMoment.After);
        return response;
    }

    [GeneratedRegex("(?<=/)(resp|conv|thread|run|msg|asst|item|fc|call)_[A-Za-z0-9_-]+")]
    private static partial Regex Ids();

    /// <summary>The body of a stream: ends with its owner.</summary>
    private sealed class KillableStream : Stream
    {
        private readonly Stream _inner;
        private readonly Owner _owner;
        private readonly string _call;
        private readonly int _number;
        private readonly CancellationTokenRegistration _cut;
        private bool _hasBegun;
        private bool _hasEnded;

        public KillableStream(Stream inner, Owner owner, string call, int number)
        {
            (_inner, _owner, _call, _number) = (inner, owner, call, number);
            // Closing the body before its end closes the connection.
            _cut = owner.Life.Register(inner.Dispose);
        }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int count;
            try
            {
                count = await _inner.ReadAsync(buffer, cancellationToken);
            }
            catch (Exception) when (_owner.IsDead)
            {
                throw await _owner.WaitForBurialAsync();
            }

            if (count > 0 && !_hasBegun)
            {
                _hasBegun = true;
                await _owner.PassAsync(_call, _number, CrashMoment.InStream);
            }
            else if (count == 0 && buffer.Length > 0 && !_hasEnded)
            {
                _hasEnded = true;
                await _owner.PassAsync(_call, _number, CrashMoment.AtEndOfStream);
            }

            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("The queue reads asynchronously.");

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _cut.Dispose();
                _inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
