using AssistantQueue;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace WebChat.Api;

/// <summary>Healthy when the queue's Redis answers within two seconds.</summary>
public sealed class QueueHealthCheck(IAssistantMessageQueue queue) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            var status = await queue.GetQueueStatusAsync(patience.Token);
            return HealthCheckResult.Healthy($"Redis answers; {status.ActiveThreads} threads have a run.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return HealthCheckResult.Unhealthy($"Redis didn't answer within {Patience.TotalSeconds:0} seconds.");
        }
        catch (AssistantQueueException exception)
        {
            return HealthCheckResult.Unhealthy(exception.Message, exception);
        }
    }

    public static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(new
    {
        status = report.Status.ToString(),
        checks = report.Entries.ToDictionary(e => e.Key, e => new { status = e.Value.Status.ToString(), e.Value.Description }),
    });
}
