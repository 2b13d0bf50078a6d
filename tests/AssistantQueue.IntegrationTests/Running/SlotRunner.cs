using AssistantQueue.IntegrationTests.Redis;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace AssistantQueue.IntegrationTests.Running;

/// <summary>Runs so many classes at a time, and beside them those that <see cref="WaitsMostlyAttribute">wait most of the time</see>.</summary>
/// <remarks>xunit's own limit (<c>maxParallelThreads</c>) knows no exceptions, so it is off in <c>xunit.runner.json</c>.</remarks>
internal sealed class SlotRunner(
    ITestAssembly assembly, IEnumerable<IXunitTestCase> cases, IMessageSink diagnostics, IMessageSink messages, ITestFrameworkExecutionOptions options)
    : XunitTestAssemblyRunner(assembly, cases, diagnostics, messages, options)
{
    /// <summary>More of them, each with its processes and servers, starve each other of leases of some seconds on a machine of two cores.</summary>
    private const int Slots = 4;

    private readonly SemaphoreSlim _slots = new(Slots);

    public override void Dispose()
    {
        base.Dispose();
        _slots.Dispose();
    }

    // not: when the framework is disposed
    // but: before the end is told; that disposal is waited for by nobody, and the process may be over first
    protected override async Task BeforeTestAssemblyFinishedAsync()
    {
        await base.BeforeTestAssemblyFinishedAsync();
        await Aggregator.RunAsync(TestRedis.EndAsync);
    }

    protected override async Task<RunSummary> RunTestCollectionAsync(
        IMessageBus messageBus, ITestCollection testCollection, IEnumerable<IXunitTestCase> testCases, CancellationTokenSource cancellationTokenSource)
    {
        var all = testCases.ToList();
        if (all.TrueForAll(c => c.TestMethod.TestClass.Class.GetCustomAttributes(typeof(WaitsMostlyAttribute)).Any()))
        {
            return await base.RunTestCollectionAsync(messageBus, testCollection, all, cancellationTokenSource);
        }

        await _slots.WaitAsync(cancellationTokenSource.Token);
        try
        {
            return await base.RunTestCollectionAsync(messageBus, testCollection, all, cancellationTokenSource);
        }
        finally
        {
            _slots.Release();
        }
    }
}
