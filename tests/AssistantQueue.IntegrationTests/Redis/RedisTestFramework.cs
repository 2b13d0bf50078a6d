using Xunit.Abstractions;
using Xunit.Sdk;

[assembly: TestFramework("AssistantQueue.IntegrationTests.Redis.RedisTestFramework", "AssistantQueue.IntegrationTests")]

namespace AssistantQueue.IntegrationTests.Redis;

/// <summary>xunit's own framework, which also shows what the tests' Redis says about itself (under <c>dotnet test</c> too) and ends it at the end.</summary>
public sealed class RedisTestFramework : XunitTestFramework
{
    public RedisTestFramework(IMessageSink messageSink)
        : base(messageSink)
    {
        TestRedis.Print = line => messageSink.OnMessage(new DiagnosticMessage("{0}", line));
        DisposalTracker.Add(new End());
    }

    private sealed class End : IDisposable
    {
        public void Dispose() => TestRedis.EndAsync().GetAwaiter().GetResult();
    }
}
