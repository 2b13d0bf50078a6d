using System.Reflection;
using AssistantQueue.IntegrationTests.Redis;
using Xunit.Abstractions;
using Xunit.Sdk;

[assembly: TestFramework("AssistantQueue.IntegrationTests.Running.IntegrationTestFramework", "AssistantQueue.IntegrationTests")]

namespace AssistantQueue.IntegrationTests.Running;

/// <summary>xunit's own framework, with <see cref="SlotRunner"/>; it also shows what the tests' Redis says about itself (under <c>dotnet test</c> too) and ends it when a run was broken off.</summary>
public sealed class IntegrationTestFramework : XunitTestFramework
{
    public IntegrationTestFramework(IMessageSink messageSink)
        : base(messageSink)
    {
        TestRedis.Print = line => messageSink.OnMessage(new DiagnosticMessage("{0}", line));
        DisposalTracker.Add(new End());
    }

    protected override ITestFrameworkExecutor CreateExecutor(AssemblyName assemblyName) =>
        new Executor(assemblyName, SourceInformationProvider, DiagnosticMessageSink);

    private sealed class Executor(AssemblyName name, ISourceInformationProvider sources, IMessageSink diagnostics) : XunitTestFrameworkExecutor(name, sources, diagnostics)
    {
        protected override async void RunTestCases(IEnumerable<IXunitTestCase> testCases, IMessageSink executionMessageSink, ITestFrameworkExecutionOptions executionOptions)
        {
            using var runner = new SlotRunner(TestAssembly, testCases, DiagnosticMessageSink, executionMessageSink, executionOptions);
            await runner.RunAsync();
        }
    }

    private sealed class End : IDisposable
    {
        public void Dispose() => TestRedis.EndAsync().GetAwaiter().GetResult();
    }
}
