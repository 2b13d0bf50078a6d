using System.Diagnostics.CodeAnalysis;
using AssistantQueue;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Says what a queue does in this process: who runs its batches and who takes its replies.</summary>
public static class AssistantQueueBuilderExtensions
{
    /// <summary>Runs batches with a backend of the app's own, a singleton. The last backend of a queue wins.</summary>
    /// <typeparam name="T">The backend.</typeparam>
    /// <param name="builder">The queue's builder.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseBackend<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(this IAssistantQueueBuilder builder)
        where T : class, IAssistantBackend =>
        builder.UseBackend(services => ActivatorUtilities.CreateInstance<T>(services));

    /// <summary>Runs batches with this backend. The last backend of a queue wins.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="backend">The backend; the app keeps it and disposes it.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseBackend(this IAssistantQueueBuilder builder, IAssistantBackend backend)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(backend);
        return builder.Replace(ServiceDescriptor.KeyedSingleton(builder.Name, backend));
    }

    /// <summary>Runs batches with a backend that is made when the worker starts, after all settings were checked. The last backend of a queue wins.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="create">Makes the backend; called once.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder UseBackend(this IAssistantQueueBuilder builder, Func<IServiceProvider, IAssistantBackend> create)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(create);
        return builder.Replace(ServiceDescriptor.KeyedSingleton(builder.Name, (services, _) => create(services)));
    }

    /// <summary>Makes this process a producer only: it adds and waits, and runs nothing. The same as the setting <c>RunWorker</c> = false, and stronger.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder ProducerOnly(this IAssistantQueueBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var registration = QueueRegistration.Find(builder.Services, builder.Name)
            ?? throw new InvalidOperationException("The builder's services don't have this queue; use the builder that AddAssistantMessageQueue() returned.");
        registration.IsProducerOnly = true;
        return builder;
    }

    /// <summary>Hands replies and failures to a scoped service, at least once each, in a thread's order. Several handlers all get them.</summary>
    /// <typeparam name="T">The handler; adding it again changes nothing.</typeparam>
    /// <param name="builder">The queue's builder.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder AddReplyHandler<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(this IAssistantQueueBuilder builder)
        where T : class, IAssistantReplyHandler
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddEnumerable(ServiceDescriptor.KeyedScoped<IAssistantReplyHandler, T>(builder.Name));
        return builder;
    }

    /// <summary>Hands replies to a function, at least once each, in a thread's order.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onReply">Takes a reply; when it throws it is called again with backoff.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnReply(this IAssistantQueueBuilder builder, Func<AssistantReply, CancellationToken, Task> onReply)
    {
        ArgumentNullException.ThrowIfNull(onReply);
        return builder.OnReply((_, reply, cancellationToken) => onReply(reply, cancellationToken));
    }

    /// <summary>Hands replies to a function with the services of a scope, at least once each, in a thread's order.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onReply">Takes the scope's services and a reply; when it throws it is called again with backoff.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnReply(this IAssistantQueueBuilder builder, Func<IServiceProvider, AssistantReply, CancellationToken, Task> onReply)
    {
        ArgumentNullException.ThrowIfNull(onReply);
        return builder.Add(services => new FunctionReplyHandler(services) { Reply = onReply });
    }

    /// <summary>Hands final failures to a function, at least once each, in a thread's order.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onFailed">Takes a failed batch; when it throws it is called again with backoff.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnFailed(this IAssistantQueueBuilder builder, Func<FailedBatch, CancellationToken, Task> onFailed)
    {
        ArgumentNullException.ThrowIfNull(onFailed);
        return builder.OnFailed((_, failure, cancellationToken) => onFailed(failure, cancellationToken));
    }

    /// <summary>Hands final failures to a function with the services of a scope, at least once each, in a thread's order.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onFailed">Takes the scope's services and a failed batch; when it throws it is called again with backoff.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnFailed(this IAssistantQueueBuilder builder, Func<IServiceProvider, FailedBatch, CancellationToken, Task> onFailed)
    {
        ArgumentNullException.ThrowIfNull(onFailed);
        return builder.Add(services => new FunctionReplyHandler(services) { Failed = onFailed });
    }

    /// <summary>Tells a function of failed attempts that will be repeated; told once, and lost if the worker dies.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onRetrying">Takes the failed attempt.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnRetrying(this IAssistantQueueBuilder builder, Func<FailedAttempt, CancellationToken, Task> onRetrying)
    {
        ArgumentNullException.ThrowIfNull(onRetrying);
        return builder.OnRetrying((_, attempt, cancellationToken) => onRetrying(attempt, cancellationToken));
    }

    /// <summary>Tells a function, with the services of a scope, of failed attempts that will be repeated; told once, and lost if the worker dies.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="onRetrying">Takes the scope's services and the failed attempt.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder OnRetrying(this IAssistantQueueBuilder builder, Func<IServiceProvider, FailedAttempt, CancellationToken, Task> onRetrying)
    {
        ArgumentNullException.ThrowIfNull(onRetrying);
        return builder.Add(services => new FunctionReplyHandler(services) { Retrying = onRetrying });
    }

    /// <summary>Lets the model call a function: made with <c>AIFunctionFactory.Create</c>, or of the app's own. Calls get the services of a scope of their own in <see cref="AIFunctionArguments.Services"/>, and the call's id with <see cref="ToolCallExtensions.GetToolCall"/>.</summary>
    /// <remarks>Wrap it in <see cref="ApprovalRequiredAIFunction"/> when somebody has to approve each call (<see cref="IAssistantQueueAdmin.ApproveAsync"/>). A call can be made twice when a worker dies in the middle of it.</remarks>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="tool">The function; its name has 1 to 64 letters, digits, underscores and hyphens, and no other tool of the queue has it.</param>
    /// <returns>The same builder.</returns>
    public static IAssistantQueueBuilder AddTool(this IAssistantQueueBuilder builder, AIFunction tool)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(tool);
        builder.Services.AddKeyedSingleton(builder.Name, tool);
        return builder;
    }

    /// <summary>Lets the model call a function that is made when the worker starts.</summary>
    /// <param name="builder">The queue's builder.</param>
    /// <param name="create">Makes the function; called once.</param>
    /// <returns>The same builder.</returns>
    /// <inheritdoc cref="AddTool(IAssistantQueueBuilder, AIFunction)" path="/remarks"/>
    public static IAssistantQueueBuilder AddTool(this IAssistantQueueBuilder builder, Func<IServiceProvider, AIFunction> create)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(create);
        builder.Services.AddKeyedSingleton(builder.Name, (services, _) => create(services));
        return builder;
    }

    private static IAssistantQueueBuilder Add(this IAssistantQueueBuilder builder, Func<IServiceProvider, IAssistantReplyHandler> create)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddKeyedScoped<IAssistantReplyHandler>(builder.Name, (services, _) => create(services));
        return builder;
    }

    private static IAssistantQueueBuilder Replace(this IAssistantQueueBuilder builder, ServiceDescriptor backend)
    {
        builder.Services.RemoveAllKeyed<IAssistantBackend>(builder.Name);
        builder.Services.Add(backend);
        return builder;
    }
}
